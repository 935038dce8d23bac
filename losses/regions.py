"""The region a term looks at: the ground-truth box on the grid of prototype pixels."""

import torch
from torch import Tensor


def box_crop_NHW(boxes_N4: Tensor, height: int, width: int, padding: float = 1.0) -> Tensor:
    """True inside each box widened by `padding` pixels, [N, height, width].

    The rule is YOLACT's: float boundaries; column c is inside iff x1 − padding ≤ c < x2 + padding,
    whichever of the two x is the lesser.

    Args:
        boxes_N4: x1, y1, x2, y2 relative to the image.
        height, width: of the prototypes.
        padding: in prototype pixels.
    """
    columns_NW = _inside(boxes_N4[:, 0], boxes_N4[:, 2], width, padding)
    rows_NH = _inside(boxes_N4[:, 1], boxes_N4[:, 3], height, padding)
    return rows_NH[:, :, None] & columns_NW[:, None, :]


def box_area_N(boxes_N4: Tensor, height: int, width: int, minimum: float) -> Tensor:
    """Area of each box in prototype pixels, at least `minimum`."""
    sides_N2 = boxes_N4[:, 2:] - boxes_N4[:, :2]
    return (sides_N2[:, 0] * width * (sides_N2[:, 1] * height)).clamp(min=minimum)


def _inside(one_N: Tensor, other_N: Tensor, size: int, padding: float) -> Tensor:
    low_N = (torch.minimum(one_N, other_N) * size - padding).clamp(min=0)
    high_N = (torch.maximum(one_N, other_N) * size + padding).clamp(max=size)
    grid = torch.arange(size, device=one_N.device, dtype=one_N.dtype)
    return (grid >= low_N[:, None]) & (grid < high_N[:, None])
