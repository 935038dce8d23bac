"""From masks of regions to masks of images: each is enlarged inside its own window alone.

Shape letters: N masks, h and w pixels of the mask head's output, H and W image pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from yolactpp.ops.mask_crops import MaskCrops, Window

# A frame of zeros, so that a mask may end inside its region's outermost pixels.
FRAME = 1


def paste_masks(soft_Nhw: Tensor, boxes_N4: Tensor, size: tuple[int, int]) -> MaskCrops:
    """Soft masks enlarged to their boxes and cut at 0.5; torchvision's rule (test: test_paste.py).

    Args:
        soft_Nhw: in [0, 1].
        boxes_N4: x1, y1, x2, y2 in pixels of the image.
        size: height and width of the image.
    """
    side = soft_Nhw.shape[-1]
    framed_Nhw = functional.pad(soft_Nhw.cpu(), (FRAME,) * 4)
    centres_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:]).cpu() / 2
    halves_N2 = (boxes_N4[:, 2:] - boxes_N4[:, :2]).cpu() / 2 * ((side + 2 * FRAME) / side)
    corners_N4 = torch.cat([centres_N2 - halves_N2, centres_N2 + halves_N2], dim=1).long()
    pairs = zip(framed_Nhw, corners_N4.tolist(), strict=True)
    return MaskCrops(size, [_window(mask_hw, corners, size) for mask_hw, corners in pairs])


def _window(mask_hw: Tensor, corners: list[int], size: tuple[int, int]) -> Window:
    left, top, right, bottom = corners
    shape = max(bottom - top + 1, 1), max(right - left + 1, 1)
    enlarged_HW = functional.interpolate(
        mask_hw[None, None], size=shape, mode="bilinear", align_corners=False
    )[0, 0]
    first_row, first_column = max(top, 0), max(left, 0)
    seen_HW = enlarged_HW[first_row - top : size[0] - top, first_column - left : size[1] - left]
    return Window(first_row, first_column, (seen_HW > 0.5).numpy())
