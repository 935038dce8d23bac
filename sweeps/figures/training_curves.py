"""Figure 2: loss against iteration for every loss, smoothed with the raw values behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from sweeps.figures.style import NothingToDraw, arms, count_text, new_axes, outside_legend
from yolactpp.run_dir import RunDir, read_jsonl

POINTS_AT_MOST = 240
SMOOTHING = 0.06


def plot(
    frame: pd.DataFrame, ax: Axes | None = None, term: str = "mask", logarithmic: bool = False
) -> Axes:
    """Every seed's curve of one loss term; seeds of an arm share their colour.

    Values of different losses have different scales: shapes can be compared, heights cannot.

    Args:
        frame: runs with `label`, `loss` and `folder`.
        ax: where to draw; None makes a figure.
        term: key of metrics.jsonl.
        logarithmic: the vertical axis.

    Raises:
        NothingToDraw: no run logged this term.
    """
    ax = new_axes(ax)
    drawn = False
    for label, colour, style, _, runs in arms(frame):
        name: str | None = label
        for folder in runs["folder"]:
            iterations, values = curve(Path(folder), term)
            if not len(values):
                continue
            if len(runs) <= 10:
                ax.plot(iterations, values, color=colour, linewidth=0.5, alpha=0.3)
            ax.plot(
                iterations, smooth(values), color=colour, linestyle=style, linewidth=1.3, label=name
            )
            name, drawn = None, True
    if not drawn:
        raise NothingToDraw(f"no metrics.jsonl holds {term!r}")
    if logarithmic:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.yaxis.set_minor_formatter(ScalarFormatter())
    ax.set(xlabel="iteration", ylabel=f"{term} loss")
    ax.set_title(f"Training loss ({term}), {count_text(frame)}, raw values behind")
    outside_legend(ax)
    return ax


def curve(folder: Path, term: str) -> tuple[np.ndarray, np.ndarray]:
    """Iterations and values of one term, thinned to what a figure can show."""
    points = [
        (record["iteration"], record[term])
        for record in read_jsonl(RunDir(folder).metrics)
        if record.get(term) is not None and "iteration" in record
    ]
    step = max(1, -(-len(points) // POINTS_AT_MOST))
    thinned = np.array(points[::step], dtype=float).reshape(-1, 2)
    return thinned[:, 0], thinned[:, 1]


def smooth(values: np.ndarray) -> np.ndarray:
    """A centred Gaussian mean whose width is a share of the curve; the ends are not pulled to 0."""
    width = max(1.0, SMOOTHING * len(values) / 2)
    offset = np.arange(-int(3 * width), int(3 * width) + 1)
    kernel = np.exp(-0.5 * (offset / width) ** 2)
    total = np.convolve(values, kernel, mode="full")[len(offset) // 2 :][: len(values)]
    weight = np.convolve(np.ones_like(values), kernel, mode="full")[len(offset) // 2 :]
    return total / weight[: len(values)]
