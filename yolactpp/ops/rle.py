"""COCO's run-length encoding straight from masks or from windows of masks. Does not import torch.

COCO counts runs down the columns, beginning with a run of zeros. Both encoders work on the
positions where the column-major sequence changes value, so the cost is that of the window, not of
the image. Shape letters: N masks, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

if TYPE_CHECKING:
    from torch import Tensor

Rle = dict[str, Any]
CHUNK_PIXELS = 64_000_000


def encode_window(window_HW: NDArray[np.bool_], top: int, left: int, size: tuple[int, int]) -> Rle:
    """RLE of a mask that is zero outside a window.

    Args:
        window_HW: the mask inside the window.
        top: row of the window's first row in the image.
        left: column of the window's first column.
        size: height and width of the image.
    """
    rows, columns = window_HW.shape
    padded_WH = np.zeros((columns, rows + 2), dtype=bool)
    padded_WH[:, 1:-1] = window_HW.T
    changed_WH = padded_WH[:, 1:] != padded_WH[:, :-1]
    column, row = np.divmod(np.flatnonzero(changed_WH), rows + 1)
    return _from_changes((left + column) * size[0] + top + row, size)


def encode_masks(masks_NHW: Tensor) -> list[Rle]:
    """RLE of full-size bool masks on any device; only the positions of changes leave it."""
    height, width = masks_NHW.shape[1:]
    chunk = max(1, CHUNK_PIXELS // max(1, height * width))
    encoded: list[Rle] = []
    for start in range(0, len(masks_NHW), chunk):
        columns_NM = masks_NHW[start : start + chunk].transpose(1, 2).flatten(1)
        changed_NM = columns_NM.clone()
        changed_NM[:, 1:] ^= columns_NM[:, :-1]
        changes = changed_NM.nonzero().cpu().numpy()
        counts = np.bincount(changes[:, 0], minlength=len(columns_NM))
        for positions in np.split(changes[:, 1], np.cumsum(counts)[:-1]):
            encoded.append(_from_changes(positions, (height, width)))
    return encoded


def _from_changes(positions: NDArray[np.int64], size: tuple[int, int]) -> Rle:
    """Compressed RLE from ascending positions of change; two at one place cancel.

    Two changes meet where a mask touches the bottom of one column and the top of the next.
    """
    height, width = size
    if len(positions) > 1:
        equal = positions[1:] == positions[:-1]
        alone = np.ones(len(positions), dtype=bool)
        alone[1:] &= ~equal
        alone[:-1] &= ~equal
        positions = positions[alone]
    edges = np.concatenate([[0], positions, [height * width]])
    counts = np.diff(edges)
    if counts[-1] == 0 and len(counts) > 1:
        counts = counts[:-1]
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}
