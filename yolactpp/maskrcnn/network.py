"""torchvision's Mask R-CNN of any width, on a backbone of ours."""

from __future__ import annotations

from collections.abc import Sequence

from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from yolactpp.maskrcnn.fpn_backbone import FpnBackbone
from yolactpp.model.backbone import ResNet

LEVELS = 5
POOLED_LEVELS = ("0", "1", "2", "3")
BOX_POOL = 7
MASK_POOL = 14


class MaskRcnnNetwork(MaskRCNN):
    """torchvision's network; by default all numbers are its own.

    Its transform leaves images as they are: they come normalised, at the network's size.

    Args:
        backbone: gives C2..C5.
        num_classes: classes with background, at least 2.
        image_size: side of the input in pixels.
        channels: of the pyramid and the mask head.
        anchor_sizes: side in pixels of the square anchor of each level P2..P6.
        anchor_ratios: height over width.
        box_features: of the two linear layers of the box head.
        mask_layers: 3 x 3 convolutions of the mask head.
        proposals_before_nms, proposals_after_nms: of a level and of an image, in training and in
            detection.
        rois_per_image: proposals that train the box head, a quarter of them objects at most.

    Raises:
        ValueError: an argument is out of range.

    Source: He et al. 2017 (Mask R-CNN).
    """

    def __init__(
        self,
        *,
        backbone: ResNet,
        num_classes: int,
        image_size: int,
        channels: int = 256,
        anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
        anchor_ratios: Sequence[float] = (0.5, 1.0, 2.0),
        box_features: int = 1024,
        mask_layers: int = 4,
        proposals_before_nms: Sequence[int] = (2000, 1000),
        proposals_after_nms: Sequence[int] = (2000, 1000),
        rois_per_image: int = 512,
    ) -> None:
        if num_classes < 2:
            raise ValueError(f"num_classes={num_classes}: give background and at least one class")
        if len(anchor_sizes) != LEVELS:
            raise ValueError(
                f"anchor_sizes={list(anchor_sizes)}: give one for each of {LEVELS} levels"
            )
        for name, pair in (("before", proposals_before_nms), ("after", proposals_after_nms)):
            if len(pair) != 2 or min(pair) < 1:
                raise ValueError(
                    f"proposals_{name}_nms={list(pair)}: give two numbers of at least 1, one for "
                    "training and one for detection"
                )
        super().__init__(
            FpnBackbone(backbone, channels),
            min_size=image_size,
            max_size=image_size,
            image_mean=[0.0, 0.0, 0.0],
            image_std=[1.0, 1.0, 1.0],
            rpn_anchor_generator=AnchorGenerator(
                tuple((float(size),) for size in anchor_sizes), (tuple(anchor_ratios),) * LEVELS
            ),
            rpn_pre_nms_top_n_train=proposals_before_nms[0],
            rpn_pre_nms_top_n_test=proposals_before_nms[1],
            rpn_post_nms_top_n_train=proposals_after_nms[0],
            rpn_post_nms_top_n_test=proposals_after_nms[1],
            box_roi_pool=MultiScaleRoIAlign(POOLED_LEVELS, BOX_POOL, sampling_ratio=2),
            box_head=TwoMLPHead(channels * BOX_POOL**2, box_features),
            box_predictor=FastRCNNPredictor(box_features, num_classes),
            box_batch_size_per_image=rois_per_image,
            mask_roi_pool=MultiScaleRoIAlign(POOLED_LEVELS, MASK_POOL, sampling_ratio=2),
            mask_head=MaskRCNNHeads(channels, (channels,) * mask_layers, 1),
            mask_predictor=MaskRCNNPredictor(channels, channels, num_classes),
        )

    def compile(self, *, mode: str = "default") -> None:
        """Compile the backbone; the rest has shapes that hang on values."""
        self.backbone.compile(mode=mode)
