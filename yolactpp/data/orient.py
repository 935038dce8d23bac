"""Mirror, upside-down flip and quarter turns, of pixels and of boxes."""

from __future__ import annotations

import numpy as np

from yolactpp.data.view import View


def orient(pixels: np.ndarray, mirrored: bool, flipped: bool, turns: int) -> np.ndarray:
    """Mirror, flip, then turn anticlockwise by 90 degrees `turns` times."""
    if mirrored:
        pixels = pixels[:, ::-1]
    if flipped:
        pixels = pixels[::-1]
    return np.ascontiguousarray(np.rot90(pixels, turns))


def source_axes(
    mirrored: bool, flipped: bool, turns: int
) -> tuple[tuple[int, bool], tuple[int, bool]]:
    """What `orient` makes rows and columns of: the source's axis, and whether it runs backwards."""
    rows, columns = (0, flipped), (1, mirrored)
    for _ in range(turns):
        rows, columns = (columns[0], not columns[1]), rows
    return rows, columns


def orient_boxes(
    boxes: np.ndarray, view: View, mirrored: bool, flipped: bool, turns: int
) -> np.ndarray:
    """The same for boxes [n, 4] in the view's pixels."""
    x1, y1, x2, y2 = boxes.T
    width, height = view.width, view.height
    if mirrored:
        x1, x2 = width - x2, width - x1
    if flipped:
        y1, y2 = height - y2, height - y1
    for _ in range(turns):
        x1, y1, x2, y2 = y1, width - x2, y2, width - x1
        width, height = height, width
    return np.stack([x1, y1, x2, y2], axis=1)
