"""Reliability of mask scores: how often detections of a score are right, against the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sweeps.figures.style import NothingToDraw, arms, count_text, new_axes, outside_legend


def plot(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Every seed thin, each arm's mean over detections thick; the diagonal is honesty.

    Args:
        frame: runs with `label`, `loss` and `bins`: eval.json's `calibration.segm.bins` or None.
        ax: where to draw; None makes a figure.

    Raises:
        NothingToDraw: no run was evaluated beyond mAP.
    """
    known = frame[frame["bins"].notna()]
    if known.empty:
        raise NothingToDraw("no eval.json holds calibration")
    ax = new_axes(ax)
    ax.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":")
    for label, colour, style, marker, runs in arms(known):
        for bins in runs["bins"]:
            ax.plot(*_points([bins]), color=colour, linewidth=0.7, alpha=0.5)
        claimed, true = _points(list(runs["bins"]))
        ax.plot(claimed, true, color=colour, linestyle=style, marker=marker, ms=3.5, label=label)
    ax.set(xlabel="mean score of the bin", ylabel="share that is right at IoU 0.5")
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    ax.set_title(f"Calibration of mask scores, {count_text(known)}")
    outside_legend(ax)
    return ax


def _points(runs: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean score and share of right detections for each bin that holds any, runs pooled."""
    count, claimed, true = (
        np.array([[each[key] or 0.0 for each in bins] for bins in runs], dtype=float)
        for key in ("count", "claimed", "true")
    )
    total = count.sum(axis=0)
    filled = total > 0
    weighted = [(count * values).sum(axis=0)[filled] / total[filled] for values in (claimed, true)]
    return weighted[0], weighted[1]
