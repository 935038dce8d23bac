"""Which part of each mask the mask-IoU net has to be shown, and how many masks at once.

The net's convolutions have stride 2 and no padding, so that each place of what they leave sees a
square of R pixels, (R + 1) / 2 after the place before. Outside its crop a mask is 0. A place that
sees nothing of the crop therefore gives what a blank mask gives, and the net's maximum over all
places is that over the places that see the crop, and the blank's. Masks of which the same places
see the crop are shown together: at most 36 kinds, whatever the batch, for about half the pixels.
"""

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from yolactpp.ops.boxes import sanitize_range

# Pixels of the masks shown at once: on a CPU what lies between the net's layers stays in its cache
# (2.2 times faster at 384 masks of 138 px), on a GPU a bound on memory.
_CPU_BLOCK = 1 << 20
_GPU_BLOCK = 1 << 26
# Below so many blocks the parts would be too small to pay.
_FEW_BLOCKS = 8


@dataclass
class View:
    """The part of some masks that a call of the net is shown.

    Args:
        masks: how many, next to each other in the sorted order.
        rows, columns: the part, in prototype pixels; holds the whole crop.
        seen_height, seen_width: pixels of the part that a place sees.
        is_whole: whether all places are in it.
    """

    masks: int
    rows: slice
    columns: slice
    seen_height: int
    seen_width: int
    is_whole: bool


def sorted_views(
    boxes_N4: Tensor, height: int, width: int, field: int, whole: bool = False
) -> tuple[Tensor, list[View]]:
    """An order of the masks, and views that cover them in that order.

    Args:
        boxes_N4: what crops each mask, corner form, relative.
        height, width: of the masks.
        field: R, at most the height and the width.
        whole: views of whole masks in the order they have.

    Returns:
        int64 [N]; at least one view.
    """
    count, step = len(boxes_N4), (field + 1) // 2
    last_y, last_x = (height - field) // step, (width - field) // step
    if whole or count * height * width <= _FEW_BLOCKS * _CPU_BLOCK:
        kinds, counts = [[0, last_y, 0, last_x]], [count]
        order_N = torch.arange(count, device=boxes_N4.device)
    else:
        x1, y1, x2, y2 = boxes_N4.unbind(1)
        rows_N2 = _places(y1, y2, height, field, last_y)
        columns_N2 = _places(x1, x2, width, field, last_x)
        kinds_X4, kind_N = torch.cat([rows_N2, columns_N2], 1).unique(dim=0, return_inverse=True)
        kinds, counts = kinds_X4.tolist(), kind_N.bincount().tolist()
        order_N = kind_N.argsort()
    block = _GPU_BLOCK if boxes_N4.is_cuda else _CPU_BLOCK
    parts = (
        _split(
            kind_count,
            _part(y0, y1, last_y, height, field),
            _part(x0, x1, last_x, width, field),
            block,
        )
        for (y0, y1, x0, x1), kind_count in zip(kinds, counts, strict=True)
    )
    return order_N, list(chain.from_iterable(parts))


def _places(a_N: Tensor, b_N: Tensor, size: int, field: int, last: int) -> Tensor:
    """First and last place along an axis that sees the crop, int64 [N, 2]."""
    step = (field + 1) // 2
    low_N, high_N = sanitize_range(a_N, b_N, size, padding=1)
    first_N = ((low_N.ceil() - field + 1) / step).ceil().clamp(0, last)
    final_N = ((high_N.ceil() - 1) / step).floor().clamp(0, last)
    return torch.stack([first_N, torch.maximum(first_N, final_N)], 1).long()


def _part(first: int, final: int, last: int, size: int, field: int) -> tuple[slice, int, bool]:
    """Pixels along an axis from the first to the final place; how many are seen; if all are."""
    step = (field + 1) // 2
    start, end = first * step, final * step + field
    # No place sees the last pixels; a crop may reach into them.
    stop = size if final == last else end
    return slice(start, stop), end - start, first == 0 and final == last


def _split(
    count: int, rows: tuple[slice, int, bool], columns: tuple[slice, int, bool], block: int
) -> list[View]:
    """Views of at most so many pixels; one of no masks where there are none."""
    (y, seen_height, all_y), (x, seen_width, all_x) = rows, columns
    most = max(1, block // (seen_height * seen_width))
    sizes = [min(most, count - start) for start in range(0, max(count, 1), most)]
    return [View(size, y, x, seen_height, seen_width, all_y and all_x) for size in sizes]
