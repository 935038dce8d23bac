"""Masks as polygons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import approximate_polygon, find_contours

# Corners may move by at most so much, in pixels.
TOLERANCE_PX = 0.3
LEAST_CORNERS = 3


@dataclass(frozen=True)
class Outline:
    """A mask's outer and inner borders as COCO writes them: x1, y1, x2, y2, ... in pixels."""

    polygons: list[list[float]]
    holes: list[list[float]]


def trace(mask_HW: NDArray[np.bool_], top: int = 0, left: int = 0) -> Outline:
    """Outline of a mask, or of a window of one that begins at `top` and `left`.

    Coordinates count from the image's corner: pixel 0 reaches from 0 to 1.
    """
    padded_HW = np.pad(mask_HW, 1).astype(np.float32)
    outline = Outline([], [])
    for contour in find_contours(padded_HW, 0.5):
        # From pixel centres of the padded mask to corners of the image.
        corners_N2 = approximate_polygon(contour, TOLERANCE_PX)[:-1] - 0.5 + (top, left)
        if len(corners_N2) < LEAST_CORNERS:
            continue
        flat = [round(float(value), 2) for value in corners_N2[:, ::-1].ravel()]
        (outline.polygons if _signed_area(corners_N2) < 0 else outline.holes).append(flat)
    return outline


def _signed_area(corners_N2: NDArray[np.float64]) -> float:
    """Of rows and columns; its sign tells which way round the contour runs."""
    rows, columns = corners_N2.T
    return float(np.sum(rows * np.roll(columns, -1) - columns * np.roll(rows, -1)) / 2)
