"""What kind of mistake costs how much AP50. Does not import torch.

Every false positive and every object that was not found gets one cause; the share of a cause is
the AP that mending all its cases, and nothing else, would give. The causes, looked for in this
order (IoU to the objects of the image, threshold t = 0.5, background b = 0.1):

- localisation: the class is right, b <= IoU <= t.
- class: IoU >= t with an object of another class.
- duplicate: IoU >= t with an object of its class that a better detection has taken.
- background: IoU <= b with every object.
- both: anything else, that is the wrong class and a poor place.
- missed: an object that nothing found and that no localisation or class mistake could stand for.

Source: Bolya et al., TIDE: A General Toolbox for Identifying Object Detection Errors, ECCV 2020.
Two differences to its authors' program: classes without objects are left out of the mean, as in
COCO's, and a detection on a crowd of its class is no mistake (test: test_tide.py).

Shape letters: G ground-truth objects, N detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolactpp.evaluation.average_precision import average_precision
from yolactpp.evaluation.coco import Kind
from yolactpp.evaluation.instances import AREAS, ImageInstances, load_instances, size_of
from yolactpp.evaluation.matching import IGNORED, UNMATCHED, Matches, match_image

IOU_THRESHOLD = 0.5
BACKGROUND_IOU = 0.1
CAUSES = ("class", "localisation", "both", "duplicate", "background", "missed")


@dataclass
class _Point:
    """A detection on the precision-recall curve.

    Mending its cause makes it a hit of `mended_label`, or removes it where that is None.
    """

    label: int
    score: float
    size: str
    cause: str | None
    mended_label: int | None = None


@dataclass
class _Study:
    """All detections that count, the objects of each class, and those that were not found."""

    points: list[_Point] = field(default_factory=list)
    num_truth: dict[int, int] = field(default_factory=dict)
    unfound: dict[int, int] = field(default_factory=dict)
    missed: list[tuple[int, str]] = field(default_factory=list)


def tide_errors(
    dataset: dict[str, Any],
    bbox_records: Sequence[dict[str, Any]],
    segm_records: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Share of AP50 that each cause costs, for boxes and for masks.

    Args:
        dataset: from `load_annotations`.
        bbox_records, segm_records: stored predictions of the same detections.

    Returns:
        `iou_threshold`, `background_iou`, and per kind: `AP50`; `dAP` {cause: fraction};
        `dAP_false_positives`, `dAP_false_negatives` (all of them mended); `counts` {cause: n};
        `per_class` {name: {AP50, dAP}}; `per_size` {size: {cause: n}}, by the detection's area,
        or the object's if it was missed.
    """
    images = load_instances(dataset, bbox_records, segm_records)
    names = {category["id"]: category["name"] for category in dataset["categories"]}
    kinds: tuple[Kind, ...] = ("bbox", "segm")
    return {
        "iou_threshold": IOU_THRESHOLD,
        "background_iou": BACKGROUND_IOU,
        **{kind: _report(_study(images, kind), names) for kind in kinds},
    }


def _study(images: list[ImageInstances], kind: Kind) -> _Study:
    study = _Study()
    for image in images:
        _add_image(study, image, kind)
    return study


def _add_image(study: _Study, image: ImageInstances, kind: Kind) -> None:
    matches = match_image(image, kind, IOU_THRESHOLD)
    found = np.isin(np.arange(len(image.truth_labels_G)), matches.object_N)
    sizes = size_of(image.areas(kind))
    scores = image.scores(kind)
    best_for: dict[int, _Point] = {}
    for n, index in enumerate(matches.order_N):
        if matches.object_N[n] == IGNORED:
            continue
        point = _Point(int(image.labels_N[index]), float(scores[index]), str(sizes[index]), None)
        if matches.object_N[n] == UNMATCHED:
            point.cause, target = _cause(image, matches, n, found)
            if target is not None and not found[target]:
                best_for.setdefault(target, point)
        study.points.append(point)
    for target, point in best_for.items():
        point.mended_label = int(image.truth_labels_G[target])
    truth_sizes = size_of(image.truth_areas_G)
    for g in np.flatnonzero(~image.is_crowd_G):
        label = int(image.truth_labels_G[g])
        study.num_truth[label] = study.num_truth.get(label, 0) + 1
        if not found[g]:
            study.unfound[label] = study.unfound.get(label, 0) + 1
            if g not in best_for:
                study.missed.append((label, str(truth_sizes[g])))


def _cause(
    image: ImageInstances, matches: Matches, n: int, found: NDArray[np.bool_]
) -> tuple[str, int | None]:
    """Why a detection is false, and the object that it should have found, if one."""
    objects = np.flatnonzero(~image.is_crowd_G)
    if len(objects) == 0:
        return "background", None
    iou = matches.iou_NG[n, objects]
    same = image.truth_labels_G[objects] == image.labels_N[matches.order_N[n]]
    right, wrong = iou * same, iou * ~same
    if BACKGROUND_IOU <= right.max() <= IOU_THRESHOLD:
        return "localisation", int(objects[right.argmax()])
    if wrong.max() >= IOU_THRESHOLD:
        return "class", int(objects[wrong.argmax()])
    if (right * found[objects]).max() >= IOU_THRESHOLD:
        return "duplicate", None
    if iou.max() <= BACKGROUND_IOU:
        return "background", None
    return "both", None


def _report(study: _Study, names: dict[int, str]) -> dict[str, Any]:
    base = _curve_areas(study)
    mended = {cause: _curve_areas(study, cause) for cause in CAUSES}
    causes = [point.cause for point in study.points] + ["missed"] * len(study.missed)
    sized = [(point.size, point.cause) for point in study.points]
    sized += [(size, "missed") for _, size in study.missed]
    return {
        "AP50": _mean(base),
        "dAP": {cause: max(0.0, _mean(mended[cause]) - _mean(base)) for cause in CAUSES},
        "dAP_false_positives": _mean(_without_false_positives(study)) - _mean(base),
        "dAP_false_negatives": _mean(_without_false_negatives(study)) - _mean(base),
        "counts": {cause: causes.count(cause) for cause in CAUSES},
        "per_class": {
            names[label]: {
                "AP50": base[label],
                "dAP": {cause: max(0.0, mended[cause][label] - base[label]) for cause in CAUSES},
            }
            for label in sorted(base)
        },
        "per_size": {
            size: {cause: sized.count((size, cause)) for cause in CAUSES} for size in AREAS
        },
    }


def _curve_areas(study: _Study, mended: str | None = None) -> dict[int, float]:
    """AP50 of every class that has objects, with one cause mended."""
    num_truth = dict(study.num_truth)
    if mended == "missed":
        for label, _ in study.missed:
            num_truth[label] -= 1
    scores: dict[int, list[float]] = {label: [] for label in num_truth}
    hits: dict[int, list[bool]] = {label: [] for label in num_truth}
    for point in study.points:
        is_mended = point.cause is not None and point.cause == mended
        counted_as = point.mended_label if is_mended else point.label
        if counted_as in scores:
            scores[counted_as].append(point.score)
            hits[counted_as].append(is_mended or point.cause is None)
    return {
        label: average_precision(np.array(scores[label]), np.array(hits[label], bool), number)
        for label, number in num_truth.items()
    }


def _without_false_positives(study: _Study) -> dict[int, float]:
    hits = _Study([p for p in study.points if p.cause is None], study.num_truth)
    return _curve_areas(hits)


def _without_false_negatives(study: _Study) -> dict[int, float]:
    found = {
        label: number - study.unfound.get(label, 0) for label, number in study.num_truth.items()
    }
    return _curve_areas(_Study(study.points, found))


def _mean(by_class: dict[int, float]) -> float:
    return float(np.mean(list(by_class.values()))) if by_class else 0.0
