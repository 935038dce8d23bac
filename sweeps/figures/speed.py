"""Speed against accuracy: frames a second and mask AP of every run."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from sweeps.figures.style import NothingToDraw, arms, count_text, new_axes, outside_legend


def plot(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Every run a point; a loss cannot change the speed of its network, so spread here is noise.

    Raises:
        NothingToDraw: no run measured its speed.
    """
    known = frame[frame["fps"].notna()] if "fps" in frame else frame.iloc[:0]
    if known.empty:
        raise NothingToDraw("no run measured its frames per second")
    ax = new_axes(ax)
    for label, colour, _, marker, runs in arms(known):
        ax.plot(runs["fps"], 100 * runs["segm.AP"], marker, color=colour, alpha=0.85, label=label)
    ax.set(xlabel="frames per second, one image at a time", ylabel="mask AP, %")
    ax.set_title(f"Speed and accuracy, {count_text(known)}")
    ax.margins(0.08)
    outside_legend(ax)
    return ax
