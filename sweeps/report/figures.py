"""The gallery's figures as data URIs, once for light and once for dark pages."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from sweeps.figures.gallery import PLATES
from sweeps.figures.style import NothingToDraw, theme
from sweeps.study import Study

# The page shows these in its own way, with a slider.
SHOWN_ELSEWHERE = {"samples", "disputed"}
DOTS_PER_INCH = 130


@dataclass(frozen=True)
class EmbeddedFigure:
    name: str
    title: str
    caption: str
    light: str
    dark: str


def embedded_figures(study: Study) -> tuple[list[EmbeddedFigure], list[str]]:
    """Every figure that the runs allow, and for the others why not."""
    found, left_out = [], []
    for plate in PLATES:
        if plate.name in SHOWN_ELSEWHERE:
            continue
        pictures = []
        try:
            for dark in (False, True):
                with theme(dark):
                    figure = plate.draw(study)
                    pictures.append(_data_uri(figure))
                    plt.close(figure)
        except NothingToDraw as reason:
            left_out.append(f"{plate.title}: {reason}.")
            continue
        found.append(EmbeddedFigure(plate.name, plate.title, plate.caption, *pictures))
    return found, left_out


def _data_uri(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="webp", dpi=DOTS_PER_INCH, pil_kwargs={"lossless": True})
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
