"""From detections to masks: assembly, mask re-scoring, return to the original size.

YOLACT, section 3.3, and YOLACT++, section 4.1. Shape letters: B images, N detections of an image
(padded), M detections of the whole batch, F foreground classes, K prototypes, h and w prototype
pixels, H and W pixels of an original image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from yolactpp.ops.mask_crops import CroppedDetections, enlarge_whole, enlarge_windows
from yolactpp.ops.masks import assemble_masks, crop_mask_NHW
from yolactpp.structures import Detections

MaskIou = Callable[[Tensor], Tensor]


class Postprocessor:
    """Masks and boxes of a batch at the original images' sizes.

    On the CPU masks are made inside their windows alone (`CroppedDetections`); on a GPU, where
    the whole enlargement costs less than the launches of a hundred small ones, as full tensors.

    Args:
        integer_boxes: truncate box corners to whole pixels, as the original does: that shifts a
            box by half a pixel on average towards the upper left.
        crop: set a mask to 0 outside its predicted box, as YOLACT does.
    """

    def __init__(self, *, integer_boxes: bool = True, crop: bool = True) -> None:
        self.integer_boxes = integer_boxes
        self.crop = crop

    def __call__(
        self,
        boxes_BN4: Tensor,
        scores_BN: Tensor,
        labels_BN: Tensor,
        coefficients_BNK: Tensor,
        is_present_BN: Tensor,
        prototypes_Bhwk: Tensor,
        sizes_hw: list[tuple[int, int]],
        mask_iou_net: MaskIou | None = None,
    ) -> list[Detections]:
        """One `Detections` per image; rows that are not present are left out.

        Raises:
            ValueError: as many sizes as images are needed.
        """
        if len(sizes_hw) != len(boxes_BN4):
            raise ValueError(f"{len(sizes_hw)} sizes for {len(boxes_BN4)} images: give one each")
        counts = is_present_BN.sum(dim=1).tolist()
        longest = max(counts, default=0)
        present_BN = is_present_BN[:, :longest]
        labels_M, scores_M = labels_BN[:, :longest][present_BN], scores_BN[:, :longest][present_BN]
        boxes_M4 = boxes_BN4[:, :longest][present_BN]
        soft_Mhw = assemble_masks(prototypes_Bhwk, coefficients_BNK[:, :longest]).sigmoid_()[
            present_BN
        ]
        if self.crop:
            soft_Mhw *= crop_mask_NHW(boxes_M4, *soft_Mhw.shape[1:])
        mask_scores_M = rescore(soft_Mhw, scores_M, labels_M, mask_iou_net)
        images = zip(
            boxes_M4.split(counts),
            scores_M.split(counts),
            mask_scores_M.split(counts),
            labels_M.split(counts),
            soft_Mhw.split(counts),
            sizes_hw,
            strict=True,
        )
        return [self._at_size(*image) for image in images]

    def _at_size(
        self,
        boxes_N4: Tensor,
        scores_N: Tensor,
        mask_scores_N: Tensor,
        labels_N: Tensor,
        soft_Nhw: Tensor,
        size: tuple[int, int],
    ) -> Detections:
        boxes_N4 = to_pixels(boxes_N4, size, integer=self.integer_boxes)
        if soft_Nhw.device.type == "cpu":
            crops = enlarge_windows(soft_Nhw, size)
            return CroppedDetections(boxes_N4, scores_N, mask_scores_N, labels_N, crops)
        masks_NHW = enlarge_whole(soft_Nhw, size)
        return Detections(boxes_N4, scores_N, mask_scores_N, labels_N, masks_NHW)


def rescore(
    soft_Mhw: Tensor, scores_M: Tensor, labels_M: Tensor, mask_iou_net: MaskIou | None
) -> Tensor:
    """Class score times the mask IoU predicted for the detection's class (YOLACT++, 4.1)."""
    if mask_iou_net is None or len(soft_Mhw) == 0:
        return scores_M
    iou_MF = mask_iou_net(soft_Mhw[:, None]).float()
    return scores_M * iou_MF.gather(1, labels_M[:, None])[:, 0]


def to_pixels(boxes_N4: Tensor, size: tuple[int, int], *, integer: bool) -> Tensor:
    """Relative corners in pixels of the image: sorted, the lower at least 0, the upper inside."""
    height, width = size
    scaled_N4 = boxes_N4 * boxes_N4.new_tensor([width, height, width, height])
    low_N2 = torch.minimum(scaled_N4[:, :2], scaled_N4[:, 2:]).clamp(min=0)
    high_N2 = torch.maximum(scaled_N4[:, :2], scaled_N4[:, 2:])
    high_N2 = torch.minimum(high_N2, high_N2.new_tensor([width, height]))
    pixels_N4 = torch.cat([low_N2, high_N2], dim=1)
    return pixels_N4.trunc() if integer else pixels_N4
