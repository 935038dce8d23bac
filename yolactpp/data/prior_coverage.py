"""How well priors cover the boxes of a data set, and shapes that would cover them better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

POSITIVE_IOU = 0.5
ROUNDS = 100


@dataclass(frozen=True)
class PriorLevel:
    """One level of the pyramid: cells down and across, prior shapes relative [s, 2] (w, h)."""

    rows: int
    columns: int
    shapes: np.ndarray


@dataclass(frozen=True)
class Coverage:
    """Best IoU with any prior of each box [n], and the level where it was found [n]."""

    best_iou: np.ndarray
    best_level: np.ndarray

    @property
    def mean_iou(self) -> float:
        return float(self.best_iou.mean())

    @property
    def matched_share(self) -> float:
        """Share of the boxes that some prior covers well enough to be a positive."""
        return float((self.best_iou >= POSITIVE_IOU).mean())


def cover(boxes_xyxy: np.ndarray, levels: Sequence[PriorLevel]) -> Coverage:
    """Best IoU of each box over all priors, at their real places.

    Of equal shapes the one with the nearest centre overlaps most, so one cell a shape is looked at.

    Args:
        boxes_xyxy: relative, float64 [n, 4].
        levels: the pyramid's.
    """
    if not len(boxes_xyxy):
        raise ValueError("the data set holds no object whose box priors could cover")
    by_level = np.stack([_level_iou(boxes_xyxy, level) for level in levels], axis=1)
    return Coverage(by_level.max(axis=1), by_level.argmax(axis=1))


def cluster_shapes(shapes: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """k-means with the distance 1 - IoU of shapes on one centre, as YOLO's anchors are found.

    Args:
        shapes: widths and heights, float64 [n, 2].
        count: clusters k.
        seed: of the first centres.

    Returns:
        Median shape of each cluster, float64 [k, 2], by area.
    """
    if not 1 <= count <= len(shapes):
        raise ValueError(f"k={count}: give 1 to {len(shapes)} (the number of boxes)")
    rng = np.random.RandomState(seed)
    centres = shapes[rng.choice(len(shapes), count, replace=False)]
    assigned = np.full(len(shapes), -1)
    for _ in range(ROUNDS):
        nearest = shape_iou(shapes, centres).argmax(axis=1)
        if (nearest == assigned).all():
            break
        assigned = nearest
        centres = np.stack(
            [
                np.median(shapes[assigned == each], axis=0) if (assigned == each).any() else centre
                for each, centre in enumerate(centres)
            ]
        )
    return centres[centres.prod(axis=1).argsort()]


def shape_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of shapes [n, 2] and [k, 2] on one centre: [n, k]."""
    overlap = np.minimum(first[:, None], second).prod(axis=2)
    return overlap / (first.prod(axis=1)[:, None] + second.prod(axis=1) - overlap)


def plot_shapes(
    boxes_px: np.ndarray, priors_px: Sequence[np.ndarray], centres_px: np.ndarray, ax: Axes
) -> Axes:
    """Width against height on logarithmic axes: boxes, each level's priors, k-means' shapes.

    Args:
        boxes_px: [n, 2], pixels of the network's input.
        priors_px: [s, 2] for each level.
        centres_px: [k, 2].
        ax: where to draw.
    """
    ax.scatter(
        boxes_px[:, 0],
        boxes_px[:, 1],
        s=4,
        color="0.6",
        alpha=0.4,
        label=f"boxes (n={len(boxes_px)})",
    )
    for number, shapes in enumerate(priors_px):
        ax.scatter(
            shapes[:, 0],
            shapes[:, 1],
            s=40,
            marker="+",
            color=f"C{number}",
            label=f"priors, level {number + 1}",
        )
    ax.scatter(
        centres_px[:, 0],
        centres_px[:, 1],
        s=60,
        facecolors="none",
        edgecolors="black",
        label=f"k-means (k={len(centres_px)})",
    )
    ax.set(xscale="log", yscale="log", xlabel="width (px)", ylabel="height (px)")
    ax.set_aspect("equal")
    ax.legend(fontsize="small")
    return ax


def _level_iou(boxes: np.ndarray, level: PriorLevel) -> np.ndarray:
    """Best IoU [n] with a level's priors."""
    cells = np.array([level.columns, level.rows])
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    nearest = (np.clip(np.floor(middle * cells), 0, cells - 1) + 0.5) / cells
    low = nearest[:, None] - level.shapes / 2
    high = nearest[:, None] + level.shapes / 2
    sides = np.minimum(high, boxes[:, None, 2:]) - np.maximum(low, boxes[:, None, :2])
    overlap = sides.clip(min=0).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return (overlap / (areas[:, None] + level.shapes.prod(axis=1) - overlap)).max(axis=1)
