"""The network of YOLACT++: backbone, pyramid, protonet, shared head, semantic branch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from yolactpp.model.backbone import ResNet
from yolactpp.model.fpn import FeaturePyramid
from yolactpp.model.head import PredictionHead
from yolactpp.model.mask_iou import MaskIouNet
from yolactpp.model.priors import PriorGrid
from yolactpp.model.protonet import Protonet
from yolactpp.structures import HeadOutputs

COARSEST_STAGE = 5


class YolactppNetwork(nn.Module):
    """Images to raw head outputs.

    Args:
        backbone: gives C2..C5.
        priors: anchors of every cell.
        num_classes: classes with background, at least 2.
        image_size: S in pixels; the divisor of anchor scales.
        channels: of pyramid and head.
        finest_level: 3 takes C3 (stride 8) as the finest, as the original; 2 takes C2 (stride 4)
            for small objects.
        extra_levels: levels coarser than P5.
        prototypes: K.
        prototype_channels: of the protonet's convolutions.
        prototype_upsampling: size of the prototypes over the finest level's.
        mask_iou_channels: of the mask-IoU net's strided convolutions; None leaves the net out.
        head_gain: factor on the first weights of the head's three outputs; below 1 the first
            logits are small, which a backbone without ImageNet weights needs to start well.

    Raises:
        ValueError: if an argument is out of range or prototypes are too small for the mask-IoU net.

    Source: Bolya et al. 2020 (YOLACT++).
    """

    def __init__(
        self,
        *,
        backbone: ResNet,
        priors: PriorGrid,
        num_classes: int,
        image_size: int,
        channels: int = 256,
        finest_level: int = 3,
        extra_levels: int = 2,
        prototypes: int = 32,
        prototype_channels: int = 256,
        prototype_upsampling: int = 2,
        mask_iou_channels: Sequence[int] | None = (8, 16, 32, 64, 128),
        head_gain: float = 1.0,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes={num_classes}: give background and at least one class")
        if finest_level not in (2, 3, 4):
            raise ValueError(f"finest_level={finest_level}: use 2, 3 or 4")
        self.image_size = image_size
        self.finest_level = finest_level
        self.prototype_upsampling = prototype_upsampling
        self.priors = priors
        self.strides = [2**k for k in range(finest_level, COARSEST_STAGE + extra_levels + 1)]
        self.batch_norm_frozen = False
        self.backbone = backbone
        self.fpn = FeaturePyramid(backbone.out_channels[finest_level - 2 :], channels, extra_levels)
        self.protonet = Protonet(channels, prototype_channels, prototypes, prototype_upsampling)
        self.head = PredictionHead(channels, priors.anchors, num_classes, prototypes)
        self.semantic = nn.Conv2d(channels, num_classes - 1, 1)
        self.mask_iou = (
            MaskIouNet(mask_iou_channels, num_classes - 1) if mask_iou_channels else None
        )
        self._check_mask_size()
        for part in (self.fpn, self.protonet, self.head, self.semantic, self.mask_iou):
            if part is not None:
                _xavier(part)
        for output in (self.head.box, self.head.classes, self.head.coefficients):
            output.weight.data.mul_(head_gain)

    def forward(self, images_B3HW: Tensor) -> HeadOutputs:
        """Raw outputs for normalised images; the semantic logits in training mode only."""
        stages = self.backbone(images_B3HW)[self.finest_level - 2 :]
        levels = self.fpn(stages)
        loc_BP4, class_logits_BPC, coefficients_BPK = self.head(levels)
        sizes_hw = [(level.shape[-2], level.shape[-1]) for level in levels]
        return HeadOutputs(
            loc_BP4=loc_BP4,
            class_logits_BPC=class_logits_BPC,
            coefficients_BPK=coefficients_BPK,
            prototypes_BHWK=self.protonet(levels[0]),
            priors_P4=self.priors(sizes_hw, self.strides, self.image_size, images_B3HW.device),
            semantic_logits_BCHW=self.semantic(levels[0]) if self.training else None,
        )

    def prototype_size(self, image_size: int) -> int:
        """Side in pixels of the prototypes of a square image of side `image_size`."""
        finest = image_size
        for _ in range(self.finest_level):
            finest = (finest + 1) // 2
        return finest * self.prototype_upsampling

    def freeze_batch_norm(self) -> None:
        """Use running statistics from now on, in training mode too, and train no scale or shift."""
        self.batch_norm_frozen = True
        self.train(self.training)

    def train(self, mode: bool = True) -> YolactppNetwork:
        super().train(mode)
        if self.batch_norm_frozen:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
                    module.requires_grad_(False)
        return self

    def _check_mask_size(self) -> None:
        size = self.prototype_size(self.image_size)
        if self.mask_iou is not None and size < self.mask_iou.smallest_input:
            raise ValueError(
                f"image_size={self.image_size} gives prototypes of {size} px, but the mask-IoU net "
                f"needs {self.mask_iou.smallest_input}: enlarge image_size or shorten "
                "model.network.mask_iou_channels"
            )


def _xavier(part: nn.Module) -> None:
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
