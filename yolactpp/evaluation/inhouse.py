"""The original YOLACT's own average precision, for comparison with figures that come from it.

It differs from COCO's evaluation in six points, each marked below where it is computed:

1. An image without any detection is skipped before its objects are counted: they never enter the
   recall's denominator. Raises the result.
2. A class that has detections but no object counts as 0 in the mean. Lowers it.
3. Crowd regions are no excuse: a detection on one is a false positive. Lowers it.
4. Objects whose box is at most 4/550 of the image wide or high are dropped. Raises it.
5. Images without annotations are not evaluated, nor what was falsely found there. Raises it.
6. An overlap must exceed the threshold; for COCO it may equal it. Lowers it.

Does not import torch. Shape letters: T IoU thresholds, K classes, G objects, N detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolactpp.evaluation.average_precision import average_precision
from yolactpp.evaluation.coco import (
    IOU_THRESHOLDS,
    LIMITS,
    SIZES,
    Kind,
    Metrics,
    load_annotations,
)
from yolactpp.evaluation.instances import ImageInstances, load_instances

MIN_BOX_SIDE = 4 / 550
THRESHOLDS_T = np.array(IOU_THRESHOLDS)


@dataclass
class Tally:
    """One class over all images: detections in the order they came, and objects to be found."""

    num_truth: int = 0
    scores: list[NDArray[np.float64]] = field(default_factory=list)
    hits_TN: list[NDArray[np.bool_]] = field(default_factory=list)

    @property
    def num_detections(self) -> int:
        return sum(len(scores) for scores in self.scores)

    def num_hits(self) -> list[int]:
        """Per threshold."""
        return [sum(int(hits[t].sum()) for hits in self.hits_TN) for t in range(len(THRESHOLDS_T))]

    def average_precisions(self) -> list[float] | None:
        """Per threshold; None for a class with neither objects nor detections."""
        if self.num_truth == 0 and self.num_detections == 0:
            return None
        scores = np.concatenate([np.zeros(0), *self.scores])
        empty_T0 = np.zeros((len(THRESHOLDS_T), 0), dtype=bool)
        hits_TN = np.concatenate([empty_T0, *self.hits_TN], axis=1)
        return [average_precision(scores, hits, self.num_truth) for hits in hits_TN]


def inhouse_metrics(
    annotations_file: str | Path,
    bbox_records: Sequence[dict[str, Any]],
    segm_records: Sequence[dict[str, Any]],
    *,
    min_box_side: float = MIN_BOX_SIDE,
    keep_empty_images: bool = False,
    classes: Sequence[str] | None = None,
) -> dict[str, Metrics]:
    """The original's metrics from stored predictions, in the form of COCO's.

    What the original does not compute (sizes, recall) is None. AP is the mean of the ten
    thresholds' means over classes, as fractions; the original prints percent to two decimals.

    Args:
        annotations_file: ground truth in COCO format.
        bbox_records, segm_records: stored predictions of the same detections, in one order.
        min_box_side: difference 4; 0 keeps all objects.
        keep_empty_images: True takes difference 5 back.
        classes: names of the categories that count; None counts all.
    """
    dataset = load_annotations(annotations_file, classes)
    names = {category["id"]: category["name"] for category in dataset["categories"]}
    tallies = inhouse_tallies(
        load_instances(dataset, bbox_records, segm_records),
        min_box_side=min_box_side,
        keep_empty_images=keep_empty_images,
    )
    return {kind: _summarise(tallies[kind], names) for kind in ("bbox", "segm")}


def inhouse_tallies(
    images: list[ImageInstances], *, min_box_side: float, keep_empty_images: bool
) -> dict[Kind, dict[int, Tally]]:
    """Per kind and category id what average precision is computed from."""
    tallies: dict[Kind, dict[int, Tally]] = {"bbox": {}, "segm": {}}
    for image in images:
        if not len(image.truth_labels_G) and not keep_empty_images:  # difference 5
            continue
        if not len(image.labels_N):  # difference 1
            continue
        is_target_G = ~image.is_crowd_G & _large_enough(image, min_box_side)  # differences 3, 4
        ious: dict[Kind, NDArray[Any]] = {"bbox": _box_ious(image), "segm": image.ious("segm")}
        for kind, iou_NG in ious.items():
            iou_NG = iou_NG.astype(np.float32).astype(np.float64)  # as the original compares them
            _count(tallies[kind], image, image.scores(kind), iou_NG, is_target_G)
    return tallies


def _large_enough(image: ImageInstances, min_box_side: float) -> NDArray[np.bool_]:
    sides_G2 = image.truth_boxes_G4[:, 2:] / [image.width, image.height]
    return (sides_G2[:, 0] > min_box_side) & (sides_G2[:, 1] > min_box_side)


def _box_ious(image: ImageInstances) -> NDArray[np.float32]:
    """[N, G] in float32, never against a crowd's rule."""
    found_N14 = image.boxes_N4.astype(np.float32)[:, None]
    truth_1G4 = image.truth_boxes_G4.astype(np.float32)[None]
    low = np.maximum(found_N14[..., :2], truth_1G4[..., :2])
    high = np.minimum(
        found_N14[..., :2] + found_N14[..., 2:], truth_1G4[..., :2] + truth_1G4[..., 2:]
    )
    shared = np.maximum(high - low, 0).prod(axis=-1)
    total = found_N14[..., 2:].prod(axis=-1) + truth_1G4[..., 2:].prod(axis=-1)
    return shared / np.maximum(total - shared, np.finfo(np.float32).tiny)


def _count(
    tallies: dict[int, Tally],
    image: ImageInstances,
    scores_N: NDArray[np.float64],
    iou_NG: NDArray[np.float64],
    is_target_G: NDArray[np.bool_],
) -> None:
    """Add one image's detections and objects to its classes' tallies."""
    truth_labels = image.truth_labels_G[is_target_G]
    order_N = np.argsort(-scores_N, kind="stable")
    for label in np.union1d(image.labels_N, truth_labels).tolist():
        mine = order_N[image.labels_N[order_N] == label]
        targets = np.flatnonzero(is_target_G & (image.truth_labels_G == label))
        tally = tallies.setdefault(label, Tally())
        tally.num_truth += len(targets)
        tally.scores.append(scores_N[mine])
        tally.hits_TN.append(_match(iou_NG[np.ix_(mine, targets)]))


def _match(iou_NG: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which detections, best first, take an object at each threshold: [T, N].

    Each takes the free object of its class that it overlaps most, strictly above the threshold
    (difference 6).
    """
    hits_TN = np.zeros((len(THRESHOLDS_T), len(iou_NG)), dtype=bool)
    if iou_NG.size == 0:
        return hits_TN
    taken_TG = np.zeros((len(THRESHOLDS_T), iou_NG.shape[1]), dtype=bool)
    for n in np.flatnonzero(iou_NG.max(axis=1) > THRESHOLDS_T[0]):
        free_TG = np.where(taken_TG, -1.0, iou_NG[n])
        best_T = free_TG.argmax(axis=1)
        hit_T = free_TG.max(axis=1) > THRESHOLDS_T
        taken_TG[hit_T, best_T[hit_T]] = True
        hits_TN[:, n] = hit_T
    return hits_TN


def _summarise(tallies: dict[int, Tally], names: dict[int, str]) -> Metrics:
    """M of eval.json; every class with an object or a detection counts (difference 2)."""
    by_class = {label: tally.average_precisions() for label, tally in tallies.items()}
    counted = [values for values in by_class.values() if values is not None]
    mean_T = np.mean(counted, axis=0) if counted else np.zeros(len(THRESHOLDS_T))
    metrics: Metrics = {"AP": float(mean_T.mean())}
    for iou, value in zip(IOU_THRESHOLDS, mean_T, strict=True):
        metrics[f"AP{round(iou * 100)}"] = float(value)
    metrics |= {f"AP_{size}": None for size in SIZES} | {f"AR{number}": None for number in LIMITS}
    labels = sorted(names.keys() | by_class.keys())
    metrics["per_class"] = {
        names.get(label, f"category {label}"): _of_class(by_class.get(label)) for label in labels
    }
    return metrics


def _of_class(values: list[float] | None) -> dict[str, float | None]:
    if values is None:
        return {"AP": None, "AP50": None, "AP75": None}
    return {"AP": float(np.mean(values)), "AP50": values[0], "AP75": values[5]}
