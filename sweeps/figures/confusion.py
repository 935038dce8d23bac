"""Confusion matrix of an arm with several classes, in percent of each true class."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sweeps.confusion import LEAST_IOU, LEAST_SCORE
from sweeps.figures.style import NothingToDraw, new_axes


def plot(frame: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Axes:
    """Rows are the truth, the last row "nothing"; columns what was said, the last "missed".

    Args:
        frame: counts, [K + 1, K + 1], index and columns named by class.
        ax: where to draw; None makes a figure.
        title: whose matrix it is.

    Raises:
        NothingToDraw: there are fewer than two classes.
    """
    if len(frame) < 3:
        raise NothingToDraw("a single class cannot be confused")
    ax = new_axes(ax, 4.0)
    counts = frame.to_numpy(dtype=float)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(share):
        last = y == len(counts) - 1
        if last and x == len(counts) - 1:
            continue
        text = f"{int(counts[y, x])}" if last else f"{100 * value:.0f} %\n{int(counts[y, x])}"
        ax.text(x, y, text, ha="center", va="center", fontsize=8,
                color="#f5f5f5" if value > 0.55 else "#101010")  # fmt: skip
    ax.set_xticks(range(len(frame)), list(frame.columns), rotation=30, ha="right")
    ax.set_yticks(range(len(frame)), list(frame.index))
    ax.grid(False)
    ax.set(xlabel=f"predicted, score ≥ {LEAST_SCORE:g}, mask IoU ≥ {LEAST_IOU:g}", ylabel="true")
    ax.set_title(title)
    return ax
