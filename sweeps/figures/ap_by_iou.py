"""AP against the IoU threshold: where along the outline's precision two losses part."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sweeps.colours import loss_colour
from sweeps.figures.style import NothingToDraw, arms, count_text, new_axes, outside_legend
from sweeps.published_rows import published_rows

THRESHOLDS = list(range(50, 100, 5))


def plot(frame: pd.DataFrame, ax: Axes | None = None, published: bool = False) -> Axes:
    """Every seed thin, each arm's mean thick; published curves, if wanted, dotted and said to be.

    Raises:
        NothingToDraw: no run has AP at all ten thresholds.
    """
    columns = [f"segm.AP{threshold}" for threshold in THRESHOLDS]
    if not set(columns) <= set(frame.columns):
        raise NothingToDraw("no run has AP at all ten IoU thresholds")
    ax = new_axes(ax)
    places = np.array(THRESHOLDS) / 100
    for label, colour, style, marker, runs in arms(frame.dropna(subset=columns)):
        values = 100 * runs[columns].to_numpy(dtype=float)
        if len(values) > 1:
            ax.plot(places, values.T, color=colour, linewidth=0.7, alpha=0.5)
        ax.plot(places, values.mean(axis=0), color=colour, linestyle=style, marker=marker, ms=3.5,
                label=label)  # fmt: skip
    if published:
        _add_published(ax, set(frame["loss"]))
    ax.set(xlabel="IoU threshold", ylabel="mask AP, %", ylim=(0, 101))
    ax.set_title(f"AP at each IoU threshold, {count_text(frame)}")
    outside_legend(ax)
    return ax


def _add_published(ax: Axes, losses: set[str]) -> None:
    for row in published_rows("readme"):
        if row.keys["loss"] in losses:
            values = [row.cells[f"AP{t}"].mean or 0.0 for t in THRESHOLDS]
            ax.plot(np.array(THRESHOLDS) / 100, values, color=loss_colour(row.keys["loss"]),
                    linestyle=":", linewidth=1, marker="x", ms=4,
                    label=f"{row.keys['loss']} (published)")  # fmt: skip
