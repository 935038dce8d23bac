"""Mask R-CNN as a Segmenter: torchvision's network with the mask losses of this project."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList

from yolactpp.maskrcnn.criterion import MaskRcnnCriterion
from yolactpp.maskrcnn.detector import MaskRcnnDetector
from yolactpp.maskrcnn.ground_truth import Truth, ground_truth
from yolactpp.maskrcnn.rois import training_rois
from yolactpp.structures import Detections, Stopwatch, Targets

# The pyramid's coarsest convolution: anchors' strides are exact where it divides the input.
STRIDE = 32


class MaskRcnn(nn.Module):
    """Training losses and detections of Mask R-CNN; see `structures.Segmenter`.

    Args:
        network: of `MaskRcnnNetwork`. Its parts are called one by one, its own losses never.
        criterion: a Module, so that what it learns (weights of terms) is trained and saved.
        detector: proposals to detections.
    """

    def __init__(
        self, network: MaskRCNN, criterion: MaskRcnnCriterion, detector: MaskRcnnDetector
    ) -> None:
        super().__init__()
        self.network = network
        self.criterion = criterion
        self.detector = detector
        self.batch_norm_frozen = False

    def forward(
        self, images_B3HW: Tensor, targets: Targets, progress: float = 0.0
    ) -> dict[str, Tensor]:
        """The training losses, so that DistributedDataParallel can wrap the model."""
        return self.training_losses(images_B3HW, targets, progress)

    def training_losses(
        self, images_B3HW: Tensor, targets: Targets, progress: float = 0.0
    ) -> dict[str, Tensor]:
        """`class`, `box`, `mask` of the regions; `rpn_class`, `rpn_box` of the proposals."""
        size = _size_of(images_B3HW)
        truths = ground_truth(targets, *size)
        features, proposals, rpn_losses = self._propose(images_B3HW, truths)
        rois = training_rois(self.network, features, proposals, truths, size)
        return {
            **self.criterion(rois, progress),
            "rpn_class": rpn_losses["loss_objectness"],
            "rpn_box": rpn_losses["loss_rpn_box_reg"],
        }

    @torch.no_grad()
    def detect(
        self,
        images_B3HW: Tensor,
        sizes_hw: list[tuple[int, int]],
        stopwatch: Stopwatch | None = None,
    ) -> list[Detections]:
        with stopwatch("forward") if stopwatch is not None else nullcontext():
            features, proposals, _ = self._propose(images_B3HW, None)
        size = _size_of(images_B3HW)
        return self.detector(self.network, features, proposals, size, sizes_hw, stopwatch)

    def freeze_batch_norm(self) -> None:
        """Use running statistics from now on, in training mode too, and train no scale or shift."""
        self.batch_norm_frozen = True
        self.train(self.training)

    def train(self, mode: bool = True) -> MaskRcnn:
        super().train(mode)
        if self.batch_norm_frozen:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
                    module.requires_grad_(False)
        return self

    def _propose(
        self, images_B3HW: Tensor, truths: list[Truth] | None
    ) -> tuple[dict[str, Tensor], list[Tensor], dict[str, Tensor]]:
        """Features, proposals in pixels and, in training mode, the proposals' losses."""
        height, width = size = _size_of(images_B3HW)
        padded_B3HW = functional.pad(images_B3HW, (0, -width % STRIDE, 0, -height % STRIDE))
        features = self.network.backbone(padded_B3HW)
        images = ImageList(padded_B3HW, [size] * len(images_B3HW))
        proposals, losses = self.network.rpn(images, features, truths)
        return features, proposals, losses


def _size_of(images_B3HW: Tensor) -> tuple[int, int]:
    return images_B3HW.shape[-2], images_B3HW.shape[-1]
