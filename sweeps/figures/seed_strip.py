"""Every seed as a point, each arm's mean with its interval: is the spread wider than the gain?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sweeps.figures.style import NothingToDraw, arms, count_text, new_axes
from sweeps.published_rows import published_rows
from sweeps.statistics import mean_interval


def plot(frame: pd.DataFrame, ax: Axes | None = None, published: bool = False) -> Axes:
    """One line an arm in the frame's order; bars are 95 % t intervals of the mean over seeds.

    Args:
        frame: finished runs with `label`, `loss` and `segm.AP`.
        ax: where to draw; None makes a figure.
        published: whether the survey's figure for a loss stands beside as a hollow diamond.

    Raises:
        NothingToDraw: there is no run.
    """
    if frame.empty:
        raise NothingToDraw("no finished run")
    labels = list(dict.fromkeys(frame["label"]))
    ax = new_axes(ax, 1.3 + 0.34 * len(labels))
    for place, (_, colour, _, marker, runs) in enumerate(arms(frame)):
        scores = 100 * runs["segm.AP"].to_numpy(dtype=float)
        interval = mean_interval(scores)
        if interval is not None:
            ends = np.clip([interval.low, interval.high], 0, 100)
            ax.plot(ends, [place, place], color=colour, linewidth=5, alpha=0.3,
                    solid_capstyle="butt")  # fmt: skip
        ax.plot(scores, np.full(len(scores), place), marker, color=colour, ms=5, alpha=0.85)
        ax.plot([scores.mean()], [place], "|", color=colour, ms=17, mew=2)
    if published:
        _add_published(ax, frame, labels)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("mask AP, %: points are seeds, | their mean, bars its 95 % interval")
    ax.set_title(f"Seeds of every arm, {count_text(frame)}")
    return ax


def _add_published(ax: Axes, frame: pd.DataFrame, labels: list[str]) -> None:
    """Single losses only: a hybrid's published figure belongs to one α."""
    known = {row.keys["loss"]: row.cells["mAP"].mean for row in published_rows("table2")}
    singles = frame[~frame["hybrid"]].drop_duplicates("label")
    found = [(known[r["loss"]], labels.index(r["label"])) for _, r in singles.iterrows()
             if r["loss"] in known]  # fmt: skip
    if found:
        ax.plot(*zip(*found, strict=True), "D", mfc="none", color="grey", ms=6, ls="none",
                label="published (one run, other data)")  # fmt: skip
        ax.legend(loc="best")
