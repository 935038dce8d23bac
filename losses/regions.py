"""The region a term looks at: the ground-truth box on the grid of prototype pixels."""

from functools import cached_property

import torch
from torch import Tensor

from losses.windows import Part, windows


class BoxRegion:
    """The boxes of a batch's instances on the grid, in the forms that terms ask for.

    Args:
        boxes_N4: x1, y1, x2, y2 relative to the image.
        height, width: of the prototypes.
    """

    def __init__(self, boxes_N4: Tensor, height: int, width: int) -> None:
        self.rows_NH, self.columns_NW = box_sides(boxes_N4, height, width)

    @cached_property
    def inside_NHW(self) -> Tensor:
        """True inside each box."""
        return self.rows_NH[:, :, None] & self.columns_NW[:, None, :]

    @cached_property
    def pixels_N(self) -> Tensor:
        """Pixels inside each box."""
        return self.rows_NH.sum(dim=1) * self.columns_NW.sum(dim=1)

    @cached_property
    def windows(self) -> list[Part]:
        """The boxes cut out, by size."""
        return windows(self.rows_NH, self.columns_NW)


def box_crop_NHW(boxes_N4: Tensor, height: int, width: int, padding: float = 1.0) -> Tensor:
    """True inside each box widened by `padding` pixels, [N, height, width].

    The rule is YOLACT's: float boundaries; column c is inside iff x1 − padding ≤ c < x2 + padding,
    whichever of the two x is the lesser.

    Args:
        boxes_N4: x1, y1, x2, y2 relative to the image.
        height, width: of the prototypes.
        padding: in prototype pixels.
    """
    rows_NH, columns_NW = box_sides(boxes_N4, height, width, padding)
    return rows_NH[:, :, None] & columns_NW[:, None, :]


def box_sides(
    boxes_N4: Tensor, height: int, width: int, padding: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The rows [N, height] and the columns [N, width] that `box_crop_NHW` holds inside."""
    columns_NW = _inside(boxes_N4[:, 0], boxes_N4[:, 2], width, padding)
    return _inside(boxes_N4[:, 1], boxes_N4[:, 3], height, padding), columns_NW


def box_area_N(boxes_N4: Tensor, height: int, width: int, minimum: float) -> Tensor:
    """Area of each box in prototype pixels, at least `minimum`."""
    sides_N2 = boxes_N4[:, 2:] - boxes_N4[:, :2]
    return (sides_N2[:, 0] * width * (sides_N2[:, 1] * height)).clamp(min=minimum)


def _inside(one_N: Tensor, other_N: Tensor, size: int, padding: float) -> Tensor:
    low_N = (torch.minimum(one_N, other_N) * size - padding).clamp(min=0)
    high_N = (torch.maximum(one_N, other_N) * size + padding).clamp(max=size)
    grid = torch.arange(size, device=one_N.device, dtype=one_N.dtype)
    return (grid >= low_N[:, None]) & (grid < high_N[:, None])
