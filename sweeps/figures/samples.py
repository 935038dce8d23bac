"""Figure 3: the same images side by side, ground truth first, then each run."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sweeps.evidence import validation_set
from sweeps.pictures import (
    SHOWN_SCORE,
    Instance,
    detected_instances,
    load_picture,
    true_instances,
)

# Neighbouring instances differ in colour; none is a loss's colour, since this is not about losses.
INSTANCE_COLOURS = np.array(
    [
        [255, 99, 71],
        [64, 196, 255],
        [255, 214, 64],
        [124, 230, 130],
        [224, 130, 255],
        [255, 160, 90],
    ]
)
OPACITY = 0.45


def plot(frame: pd.DataFrame, image_ids: Sequence[int], notes: Sequence[str] = ()) -> Figure:
    """A grid: a row an image, a column the ground truth and each run of the frame.

    Args:
        frame: one row a run, with `label` and `seed`.
        image_ids: of the validation set, which all runs must share.
        notes: written at the left of each row.

    Raises:
        FileNotFoundError: images, annotations or predictions are missing.
    """
    rows = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    truth = validation_set(rows[0])
    size = (2.3 * (len(rows) + 1), 2.45 * len(image_ids))
    figure, axes = plt.subplots(
        len(image_ids), len(rows) + 1, figsize=size, squeeze=False, layout="constrained"
    )
    for line, image_id in enumerate(image_ids):
        picture = load_picture(rows[0], truth, image_id)
        draw(axes[line, 0], picture, true_instances(truth, image_id))
        axes[line, 0].set_ylabel(notes[line] if notes else f"image {image_id}", fontsize=8)
        for column, row in enumerate(rows, start=1):
            draw(axes[line, column], picture, detected_instances(row, truth, image_id))
    axes[0, 0].set_title("ground truth", fontsize=9)
    for column, row in enumerate(rows, start=1):
        title = f"{row['label']}\nseed {row['seed']}, AP {100 * row['segm.AP']:.1f}"
        axes[0, column].set_title(title, fontsize=9)
    figure.supxlabel(f"detections with score ≥ {SHOWN_SCORE:g}", fontsize=9)
    return figure


def draw(ax: Axes, picture: np.ndarray, instances: Sequence[Instance]) -> Axes:
    """One image with masks, boxes and scores; crowd regions are grey."""
    painted = picture.astype(float)
    for number, instance in enumerate(instances):
        colour = instance_colour(number, instance)
        painted[instance.mask_HW] = (
            (1 - OPACITY) * painted[instance.mask_HW] + OPACITY * colour
        )  # fmt: skip
    ax.imshow(painted.astype(np.uint8), interpolation="nearest")
    for number, instance in enumerate(instances):
        x, y, width, height = instance.box_xywh
        colour = instance_colour(number, instance) / 255
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), width, height, fill=False, ec=colour, lw=1.1))
        if instance.score is not None:
            box = {"facecolor": "#000000", "alpha": 0.6, "pad": 0.8, "edgecolor": "none"}
            ax.text(x, max(y, 4), f"{instance.score:.2f}", fontsize=6.5, color="white", bbox=box)
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def instance_colour(number: int, instance: Instance) -> np.ndarray:
    """RGB in 0..255."""
    if instance.crowd:
        return np.array([160, 160, 160])
    return INSTANCE_COLOURS[number % len(INSTANCE_COLOURS)]
