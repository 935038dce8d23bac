"""Heat map of a hybrid pair over its weights α and β."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sweeps.figures.style import NothingToDraw, new_axes


def plot(
    frame: pd.DataFrame, ax: Axes | None = None, limits: tuple[float, float] | None = None
) -> Axes:
    """Mean mask AP of one pair in a grid of α (across) and β (down); empty cells were not run.

    Args:
        frame: finished runs of one hybrid pair.
        ax: where to draw; None makes a figure.
        limits: ends of the colour scale in AP points, to be shared between pairs.

    Raises:
        NothingToDraw: the frame holds no hybrid.
    """
    pairs = sorted(set(frame.loc[frame["hybrid"], "loss"]))
    if not pairs:
        raise NothingToDraw("no hybrid losses among the runs")
    ax = new_axes(ax, 2.2)
    scores = 100 * frame["segm.AP"]
    cells = frame.assign(score=scores).groupby(["beta", "alpha"])["score"]
    mean = cells.mean().unstack()
    mean_BA = mean.to_numpy(dtype=float)
    deviation_BA = cells.std().unstack().to_numpy(dtype=float)
    count_BA = cells.size().unstack().to_numpy(dtype=float)
    low, high = limits or (float(scores.min()), float(scores.max()) + 1e-9)
    ax.imshow(mean_BA, aspect="auto", cmap="viridis", vmin=low, vmax=high)
    for (y, x), value in np.ndenumerate(mean_BA):
        if np.isnan(value):
            ax.text(x, y, "not run", ha="center", va="center", fontsize=9)
            continue
        spread = "" if np.isnan(deviation_BA[y, x]) else f" ± {deviation_BA[y, x]:.2f}"
        text = f"{value:.2f}{spread}\nn = {count_BA[y, x]:.0f}"
        ink = "#101010" if value > low + 0.6 * (high - low) else "#f5f5f5"
        ax.text(x, y, text, ha="center", va="center", fontsize=9, color=ink)
    ax.set_xticks(range(mean.shape[1]), [f"{value:g}" for value in mean.columns])
    ax.set_yticks(range(mean.shape[0]), [f"{value:g}" for value in mean.index])
    ax.grid(False)
    ax.set(xlabel="α", ylabel="β", title=f"{', '.join(pairs)}: mask AP, %, mean ± sd over seeds")
    return ax
