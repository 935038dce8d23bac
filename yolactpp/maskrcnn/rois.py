"""Regions of interest of a training step: what the two heads say of them, and what is true.

Shape letters: R sampled regions of a batch, N those of them that are objects, C classes with
background, H and W pixels of the mask head's output (28).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.ops import roi_align

from yolactpp.maskrcnn.ground_truth import Truth


@dataclass
class Rois:
    """Outputs and targets, image after image.

    Args:
        counts: regions of each image.
        class_logits_RC: class 0 is background.
        class_target_R: 0 background, label + 1 otherwise.
        boxes_R4: the regions, x1, y1, x2, y2 in pixels.
        matched_boxes_R4: each region's ground truth; zeros in an image without any.
        box_offsets_RC4: for every class, in SSD's code with variances 0.1 and 0.2.
        box_target_R4: the matched box in that code.
        mask_logits_NHW: of the ground truth's category.
        mask_target_NHW: the ground truth inside the region, in [0, 1].
        size: height and width of the network's input.
    """

    counts: list[int]
    class_logits_RC: Tensor
    class_target_R: Tensor
    boxes_R4: Tensor
    matched_boxes_R4: Tensor
    box_offsets_RC4: Tensor
    box_target_R4: Tensor
    mask_logits_NHW: Tensor
    mask_target_NHW: Tensor
    size: tuple[int, int]


def training_rois(
    network: MaskRCNN,
    features: dict[str, Tensor],
    proposals: list[Tensor],
    truths: list[Truth],
    size: tuple[int, int],
) -> Rois:
    """Sample proposals as torchvision does, and run both heads on them.

    Args:
        network: in training mode.
        features: of its backbone.
        proposals: x1, y1, x2, y2 in pixels, of each image.
        truths: of `ground_truth`.
        size: height and width of the images without padding.
    """
    heads = network.roi_heads
    sizes = [size] * len(truths)
    boxes, matched, labels, box_targets = heads.select_training_samples(proposals, truths)
    class_logits_RC, offsets_RX = heads.box_predictor(
        heads.box_head(heads.box_roi_pool(features, boxes, sizes))
    )
    is_object = [label_R > 0 for label_R in labels]
    object_boxes = [box_R4[is_R] for box_R4, is_R in zip(boxes, is_object, strict=True)]
    objects = [index_R[is_R] for index_R, is_R in zip(matched, is_object, strict=True)]
    mask_logits_NCHW = heads.mask_predictor(
        heads.mask_head(heads.mask_roi_pool(features, object_boxes, sizes))
    )
    category_N = torch.cat(labels)[torch.cat(is_object)]
    instance_N = torch.arange(len(category_N), device=category_N.device)
    side = mask_logits_NCHW.shape[-1]
    pairs = zip(truths, object_boxes, objects, strict=True)
    return Rois(
        counts=[len(box_R4) for box_R4 in boxes],
        class_logits_RC=class_logits_RC,
        class_target_R=torch.cat(labels),
        boxes_R4=torch.cat(boxes),
        matched_boxes_R4=torch.cat([_rows(t["boxes"], m) for t, m in zip(truths, matched)]),  # noqa: B905 - as many truths as images
        box_offsets_RC4=offsets_RX.unflatten(1, (-1, 4)),
        box_target_R4=torch.cat(box_targets),
        mask_logits_NHW=mask_logits_NCHW[instance_N, category_N],
        mask_target_NHW=torch.cat([_rasterised(t["masks"], b, m, side) for t, b, m in pairs]),
        size=size,
    )


def _rows(boxes_M4: Tensor, row_R: Tensor) -> Tensor:
    return boxes_M4[row_R] if len(boxes_M4) else boxes_M4.new_zeros(len(row_R), 4)


def _rasterised(masks_MHW: Tensor, boxes_N4: Tensor, row_N: Tensor, side: int) -> Tensor:
    """Each region's mask on a grid of side x side points: [N, side, side], in [0, 1].

    Rounding may leave a mean of ones a bit above 1.
    """
    regions_N5 = torch.cat([row_N[:, None].to(boxes_N4), boxes_N4], dim=1)
    pixels_M1HW = masks_MHW[:, None].to(boxes_N4)
    return roi_align(pixels_M1HW, regions_N5, (side, side))[:, 0].clamp(0, 1)
