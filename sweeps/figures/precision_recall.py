"""Precision against recall, as COCO interpolates it, at one IoU threshold or over all ten."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sweeps.bootstrap import RECALL_LEVELS
from sweeps.figures.style import NothingToDraw, arms, count_text, new_axes, outside_legend
from sweeps.matches import IOU_THRESHOLDS


def plot(frame: pd.DataFrame, ax: Axes | None = None, iou: float | None = None) -> Axes:
    """Every seed thin, each arm's mean thick; the area under a curve is its AP.

    Args:
        frame: runs with `label`, `loss` and `precision`, an array [10, 101] or None for each.
        ax: where to draw; None makes a figure.
        iou: threshold; None is the mean over 0.5, 0.55 ... 0.95.

    Raises:
        NothingToDraw: no run has stored predictions.
    """
    known = frame[frame["precision"].notna()]
    if known.empty:
        raise NothingToDraw("no run kept its predictions")
    ax = new_axes(ax)
    for label, colour, style, _, runs in arms(known):
        curves = np.stack([_at(each, iou) for each in runs["precision"]])
        if len(curves) > 1:
            ax.plot(RECALL_LEVELS, curves.T, color=colour, linewidth=0.7, alpha=0.5)
        mean = curves.mean(axis=0)
        ax.plot(RECALL_LEVELS, mean, color=colour, linestyle=style, linewidth=1.6, label=label)
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.005), ylim=(0, 1.02))
    at = "mean over IoU 0.50 to 0.95" if iou is None else f"IoU {iou:.2f}"
    ax.set_title(f"Precision and recall of masks, {at}, {count_text(known)}")
    outside_legend(ax)
    return ax


def _at(precision_TL: np.ndarray, iou: float | None) -> np.ndarray:
    if iou is None:
        return precision_TL.mean(axis=0)
    return precision_TL[int(np.abs(IOU_THRESHOLDS - iou).argmin())]
