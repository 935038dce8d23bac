"""What all figures share: light and dark themes, an arm's colour and line, legends, saving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweeps.colours import LINE_STYLES, MARKERS, loss_colour

LIGHT = {"paper": "#ffffff", "ink": "#1d2126", "faint": "#d5d9de"}
DARK = {"paper": "#171a20", "ink": "#e3e6ea", "faint": "#3a404a"}
WIDTH_IN = 7.6


class NothingToDraw(Exception):
    """The runs hold nothing for this figure; the message says what is missing."""


@contextmanager
def theme(dark: bool = False) -> Iterator[None]:
    """Colours and sizes for all figures made inside."""
    colours = DARK if dark else LIGHT
    settings: Any = {
        "figure.facecolor": colours["paper"],
        "savefig.facecolor": colours["paper"],
        "axes.facecolor": colours["paper"],
        "axes.edgecolor": colours["faint"],
        "axes.labelcolor": colours["ink"],
        "axes.titlecolor": colours["ink"],
        "text.color": colours["ink"],
        "xtick.color": colours["ink"],
        "ytick.color": colours["ink"],
        "grid.color": colours["faint"],
        "legend.frameon": False,
        "legend.fontsize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.linewidth": 0.6,
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "svg.hashsalt": "yolactpp-losses",
        "figure.dpi": 110,
    }
    with matplotlib.rc_context(settings):
        yield


def new_axes(ax: Axes | None, height_in: float = 4.2) -> Axes:
    """The given axes, or those of a new figure."""
    if ax is not None:
        return ax
    return plt.subplots(figsize=(WIDTH_IN, height_in), layout="constrained")[1]


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the same runs give the same bytes."""
    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    figure.savefig(path, dpi=160, metadata=metadata)


class DrawnArm(NamedTuple):
    """An arm's runs and how they look; arms of one loss share its colour."""

    label: str
    colour: str
    line: Any
    marker: str
    runs: pd.DataFrame


def arms(runs: pd.DataFrame) -> Iterator[DrawnArm]:
    """Each arm, in the order of its first run."""
    met: dict[str, int] = {}
    for label, group in runs.groupby("label", sort=False):
        loss = str(group["loss"].iloc[0])
        place = met.setdefault(loss, 0) % len(LINE_STYLES)
        met[loss] += 1
        yield DrawnArm(str(label), loss_colour(loss), LINE_STYLES[place], MARKERS[place], group)


def count_text(runs: pd.DataFrame) -> str:
    """`n = 3 seeds`, or the range when arms differ in it."""
    counts = runs.groupby("label").size()
    low, high = int(counts.min()), int(counts.max())
    number = str(low) if low == high else f"{low} to {high}"
    return f"n = {number} seed{'' if high == 1 else 's'}"


def outside_legend(ax: Axes) -> None:
    """A legend beside the axes: it never hides data."""
    handles, labels = ax.get_legend_handles_labels()
    if labels:
        columns = 1 if len(labels) <= 18 else 2
        ax.legend(handles, labels, loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=columns)
