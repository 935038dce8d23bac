"""Every figure of a study, by name: what `figures` writes and the report shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweeps.confusion import confusion_matrix
from sweeps.evidence import NotCoco, read_predictions, validation_set
from sweeps.figures import (
    alpha_beta,
    ap_by_iou,
    calibration,
    confusion,
    precision_recall,
    samples,
    seed_strip,
    speed,
    training_curves,
)
from sweeps.figures.style import WIDTH_IN, NothingToDraw
from sweeps.pictures import disputed_images, typical_images
from sweeps.study import Study, median_run
from yolactpp.run_dir import RunDir

ARMS_AT_MOST = 12
SAMPLE_ARMS = 4
SAMPLE_IMAGES = 4


@dataclass(frozen=True)
class Plate:
    """A figure of the gallery; `draw` raises NothingToDraw where the runs hold nothing for it."""

    name: str
    title: str
    caption: str
    draw: Callable[[Study], Figure]


def shown_runs(study: Study, at_most: int = ARMS_AT_MOST) -> pd.DataFrame:
    """The runs of the best arms and the baseline: as many as a figure can tell apart."""
    labels = chosen_labels(study, at_most)
    runs = study.runs[study.runs["label"].isin(labels)]
    order = {label: place for place, label in enumerate(labels)}
    return runs.sort_values("label", key=lambda column: column.map(order), kind="stable")


def chosen_labels(study: Study, at_most: int) -> list[str]:
    """Arms, best first; of too many the best ones, the baseline and the worst one."""
    labels = study.labels
    if len(labels) <= at_most:
        return labels
    own = study.verdicts[study.verdicts["loss"] == study.baseline]["label"]
    needed = list(dict.fromkeys([*own[:1], labels[-1]]))
    kept = [label for label in labels if label not in needed][: at_most - len(needed)]
    return [label for label in labels if label in kept or label in needed]


def _curves(study: Study) -> Figure:
    return _figure_of(training_curves.plot(_some(study)))


def _curves_total(study: Study) -> Figure:
    return _figure_of(training_curves.plot(_some(study), term="total", logarithmic=True))


def _precision_recall(iou: float | None) -> Callable[[Study], Figure]:
    def draw(study: Study) -> Figure:
        runs = _some(study)
        curves = [study.evidence.precision.get(folder) for folder in runs["folder"]]
        with_curves = runs.assign(precision=pd.Series(curves, index=runs.index, dtype=object))
        return _figure_of(precision_recall.plot(with_curves, iou=iou))

    return draw


def _ap_by_iou(study: Study) -> Figure:
    return _figure_of(ap_by_iou.plot(_some(study)))


def _seeds(study: Study) -> Figure:
    return _figure_of(seed_strip.plot(shown_runs(study, 40)))


def _speed(study: Study) -> Figure:
    return _figure_of(speed.plot(_some(study)))


def _alpha_beta(study: Study) -> Figure:
    hybrids = study.runs[study.runs["hybrid"]]
    pairs = sorted(set(hybrids["loss"]))
    if not pairs:
        raise NothingToDraw("no hybrid losses among the runs")
    scores = 100 * hybrids["segm.AP"]
    heights = [1 + hybrids[hybrids["loss"] == pair]["beta"].nunique() for pair in pairs]
    figure, axes = plt.subplots(
        len(pairs), 1, figsize=(WIDTH_IN, 0.5 + 0.75 * sum(heights)), squeeze=False,
        height_ratios=heights, layout="constrained",
    )  # fmt: skip
    for ax, pair in zip(axes[:, 0], pairs, strict=True):
        limits = (float(scores.min()), float(scores.max()) + 1e-9)
        alpha_beta.plot(hybrids[hybrids["loss"] == pair], ax, limits)
    return figure


def _samples(study: Study) -> Figure:
    rows = _sample_runs(study)
    try:
        truth = validation_set(_as_row(rows.iloc[0]))
        return samples.plot(rows, typical_images(truth, SAMPLE_IMAGES))
    except FileNotFoundError as error:
        raise NothingToDraw(str(error)) from error


def _disputed(study: Study) -> Figure:
    if len(study.labels) < 2:
        raise NothingToDraw("it takes two arms to differ")
    first, second = (median_run(study.runs, label) for label in rivals(study))
    try:
        found = disputed_images(_as_row(first), _as_row(second), SAMPLE_IMAGES)
        if not found:
            raise NothingToDraw("the two runs agree on every image")
        notes = [f"image {i}: AP {100 * a:.0f} | {100 * b:.0f}" for i, a, b in found]
        return samples.plot(pd.DataFrame([first, second]), [i for i, _, _ in found], notes)
    except (FileNotFoundError, ValueError, NotCoco) as error:
        raise NothingToDraw(str(error)) from error


def _calibration(study: Study) -> Figure:
    runs = _some(study)
    bins = []
    for folder in runs["folder"]:
        evaluation = RunDir(Path(folder)).read_evaluation() or {}
        bins.append(((evaluation.get("calibration") or {}).get("segm") or {}).get("bins"))
    with_bins = runs.assign(bins=pd.Series(bins, index=runs.index, dtype=object))
    return _figure_of(calibration.plot(with_bins))


def _confusion(study: Study) -> Figure:
    labels = rivals(study)[::-1] if len(study.labels) > 1 else study.labels
    if not labels:
        raise NothingToDraw("no finished run")
    figure, axes = plt.subplots(
        1, len(labels), figsize=(WIDTH_IN, 3.9), squeeze=False, layout="constrained"
    )
    for ax, label in zip(axes[0], labels, strict=True):
        runs = study.runs[study.runs["label"] == label]
        confusion.plot(_summed_confusion(runs), ax, f"{label}, {len(runs)} seeds summed")
    return figure


def _summed_confusion(runs: pd.DataFrame) -> pd.DataFrame:
    total: np.ndarray | int = 0
    try:
        for _, run in runs.iterrows():
            truth = validation_set(_as_row(run))
            stored = RunDir(Path(run["folder"]))
            protocol = (stored.read_evaluation() or {}).get("protocol") or {}
            total = total + confusion_matrix(truth, list(read_predictions(stored, protocol)[1]))
    except FileNotFoundError as error:
        raise NothingToDraw(str(error)) from error
    names = list(truth.categories.values())
    return pd.DataFrame(total, index=[*names, "nothing"], columns=[*names, "missed"])


def rivals(study: Study) -> tuple[str, str]:
    """The two arms that matter most to a reader: the best, and the baseline or the runner-up."""
    best = study.labels[0]
    own = study.verdicts[study.verdicts["loss"] == study.baseline]["label"]
    other = [label for label in [*own, *study.labels[1:]] if label != best]
    return best, other[0]


def _sample_runs(study: Study) -> pd.DataFrame:
    labels = chosen_labels(study, SAMPLE_ARMS)
    if not labels:
        raise NothingToDraw("no finished run")
    return pd.DataFrame([median_run(study.runs, label) for label in labels])


def _some(study: Study) -> pd.DataFrame:
    runs = shown_runs(study)
    if runs.empty:
        raise NothingToDraw("no finished run")
    return runs


def _as_row(series: pd.Series) -> dict[str, object]:
    return {str(name): value for name, value in series.items()}


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    return figure


SEEDS_AND_MEAN = "Thin lines are seeds, thick ones their mean."
PLATES: Sequence[Plate] = (
    Plate(
        "seeds",
        "Seeds",
        "Every seed is a point; bars are 95 % t intervals of the mean over seeds.",
        _seeds,
    ),
    Plate(
        "curves_mask",
        "Training: mask loss",
        "Losses have different scales: compare shapes, not heights.",
        _curves,
    ),
    Plate(
        "curves_total",
        "Training: total loss",
        "The sum that is minimised, on a logarithmic axis.",
        _curves_total,
    ),
    Plate("ap_by_iou", "AP by IoU threshold", SEEDS_AND_MEAN, _ap_by_iou),
    Plate("pr_50", "Precision and recall, IoU 0.5", SEEDS_AND_MEAN, _precision_recall(0.5)),
    Plate("pr_75", "Precision and recall, IoU 0.75", SEEDS_AND_MEAN, _precision_recall(0.75)),
    Plate(
        "pr_mean",
        "Precision and recall, mean over IoU",
        "The area under a curve is its AP.",
        _precision_recall(None),
    ),
    Plate(
        "alpha_beta",
        "Weights of hybrids",
        "α weighs the first loss, β the second.",
        _alpha_beta,
    ),
    Plate(
        "speed",
        "Speed and accuracy",
        "The network is the same for every loss: differences in speed are the measurement's noise.",
        _speed,
    ),
    Plate(
        "calibration",
        "Calibration",
        "On the dotted line scores mean what they say; below it they promise too much.",
        _calibration,
    ),
    Plate(
        "confusion",
        "Confusion of classes",
        "Percent of each true class, and counts.",
        _confusion,
    ),
    Plate(
        "samples",
        "Samples",
        "Images spread evenly over the validation set; of each arm its median seed.",
        _samples,
    ),
    Plate(
        "disputed",
        "Where two runs differ most",
        "Images whose own AP differs most between the best arm and the baseline (median seeds): "
        "chosen to differ, not typical.",
        _disputed,
    ),
)
