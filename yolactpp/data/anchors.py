"""`python -m yolactpp.data.anchors dataset=... model=...`: do the priors fit one's own data?

Prints how well the model's priors cover the training boxes, k-means' shapes and the settings of the
model's prior grid that cover best, as overrides to paste; draws the plot. `+k=9` sets the number of
clusters, `+plot=FILE.png` the plot's place.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from yolactpp.build import build_dataset, make, provide_dataset
from yolactpp.cli import run
from yolactpp.data.prior_coverage import (
    POSITIVE_IOU,
    Coverage,
    PriorLevel,
    cluster_shapes,
    cover,
    plot_shapes,
)
from yolactpp.engine.failures import BadInputError

BASES = tuple(round(0.5 * 1.25**step, 2) for step in range(11))
LARGEST_RATIOS = (1.5, 2.0, 3.0)
LEVELS_WITHOUT_EXTRA = 3


def anchors(cfg: DictConfig) -> None:
    """Report coverage and proposals for the data set and model of the settings.

    Raises:
        BadInputError: no object to cover, or more clusters than objects.
    """
    resolved: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    if "priors" not in resolved["model"]["network"]:
        raise BadInputError(
            f"model={resolved['model']['name']} has no prior grid to propose for: choose a YOLACT++"
        )
    config = provide_dataset(resolved)
    boxes = build_dataset(config, "train").relative_boxes()
    size = config["image_size"]
    try:
        now = cover(boxes, prior_levels(config))
        centres = cluster_shapes((boxes[:, 2:] - boxes[:, :2]) * size, resolved.get("k", 9))
    except ValueError as error:
        raise BadInputError(str(error)) from error
    print(f"{config['dataset']['name']}: {len(boxes)} objects, at {size} px")
    print(_report("priors as they are", now))
    counts = np.bincount(now.best_level, minlength=len(prior_levels(config)))
    for level, share in enumerate(counts / len(boxes)):
        print(f"  level {level + 1}: best for {share:.1%} of the boxes")
    shapes = ", ".join(f"{width:.0f} x {height:.0f}" for width, height in centres)
    print(f"k-means, k={len(centres)}, width x height in px: {shapes}")
    base, ratios, best = best_grid(boxes, config)
    print(_report(f"best grid, base {base} and ratios {ratios}", best))
    listed = ",".join(f"{ratio:g}" for ratio in ratios)
    print(f"  model.network.priors.base={base} 'model.network.priors.ratios=[{listed}]'")
    plot = Path(resolved.get("plot") or f"anchors-{config['dataset']['name']}.png")
    _draw(boxes, config, centres, plot)
    print(f"plot: {plot}")


def prior_levels(config: dict[str, Any], **changes: Any) -> list[PriorLevel]:
    """The priors of the model in the settings, some of the grid's arguments changed."""
    network = config["model"]["network"]
    grid = make({**network["priors"], **changes})
    finest, size = network["finest_level"], config["image_size"]
    count = LEVELS_WITHOUT_EXTRA + network["extra_levels"] + (3 - finest)
    strides = [2 ** (finest + level) for level in range(count)]
    levels = []
    for stride in strides:
        cells = math.ceil(size / stride)
        priors = grid([(1, 1)], [stride], size, torch.device("cpu"))
        levels.append(PriorLevel(cells, cells, priors[:, 2:].double().numpy()))
    return levels


def best_grid(
    boxes: np.ndarray, config: dict[str, Any]
) -> tuple[float, tuple[float, ...], Coverage]:
    """Base and ratios of the prior grid with the largest share of boxes matched, then mean IoU."""
    tried = []
    for base in BASES:
        for ratio in LARGEST_RATIOS:
            ratios = (1.0, round(1 / ratio, 2), ratio)
            found = cover(boxes, prior_levels(config, base=base, ratios=list(ratios)))
            tried.append((base, ratios, found))
    return max(tried, key=lambda each: (round(each[2].matched_share, 3), each[2].mean_iou))


def _report(what: str, coverage: Coverage) -> str:
    return (
        f"{what}: {coverage.matched_share:.1%} of the boxes reach IoU {POSITIVE_IOU}, "
        f"mean best IoU {coverage.mean_iou:.3f}"
    )


def _draw(boxes: np.ndarray, config: dict[str, Any], centres: np.ndarray, path: Path) -> None:
    size = config["image_size"]
    priors = [level.shapes * size for level in prior_levels(config)]
    figure, ax = plt.subplots(figsize=(6, 6), layout="constrained")
    plot_shapes((boxes[:, 2:] - boxes[:, :2]) * size, priors, centres, ax)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    run(anchors, "train")
