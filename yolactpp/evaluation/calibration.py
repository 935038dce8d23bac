"""Whether scores mean what they say. Does not import torch.

Score calibration: of the detections scored about s, a share s should be right (IoU >= 0.5 with a
free object of their class). Mask-IoU calibration: of the masks predicted to overlap by about u,
the mean overlap should be u; looked at where the box has found an object, as that is where the
mask-IoU net was trained.

Source of the expected calibration error: Naeini et al., Obtaining Well Calibrated Probabilities
Using Bayesian Binning, AAAI 2015. Shape letter: N detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolactpp.evaluation.coco import Kind
from yolactpp.evaluation.instances import AREAS, ImageInstances, load_instances, size_of
from yolactpp.evaluation.matching import IGNORED, match_image

IOU_THRESHOLD = 0.5
BINS = 10


@dataclass
class Judged:
    """Detections with what they claim and what is true, over all images."""

    claimed_N: NDArray[np.float64]
    true_N: NDArray[np.float64]
    labels_N: NDArray[np.int64]
    sizes_N: NDArray[np.str_]

    def only(self, keep_N: NDArray[np.bool_]) -> Judged:
        return Judged(
            self.claimed_N[keep_N], self.true_N[keep_N], self.labels_N[keep_N], self.sizes_N[keep_N]
        )


def calibration(
    dataset: dict[str, Any],
    bbox_records: Sequence[dict[str, Any]],
    segm_records: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Calibration of both scores and of the predicted mask IoU, over all, per size and class.

    Args:
        dataset: from `load_annotations`.
        bbox_records, segm_records: stored predictions of the same detections.

    Returns:
        `iou_threshold`; `bbox` and `segm`: of the scores; `mask_iou`: of the predicted mask IoU,
        None where masks were not re-scored. Each holds `count`, `claimed` and `true` (means),
        `error` (expected calibration error), `squared_error` (for scores: Brier's), `correlation`
        (None where undefined), `bins` of `low, high, count, claimed, true`, and the same without
        bins in `per_size` and `per_class`. Sizes go by the detection's own area.
    """
    images = load_instances(dataset, bbox_records, segm_records)
    names = {category["id"]: category["name"] for category in dataset["categories"]}
    is_rescored = any((image.mask_scores_N != image.class_scores_N).any() for image in images)
    return {
        "iou_threshold": IOU_THRESHOLD,
        "bbox": _report(judge_scores(images, "bbox"), names),
        "segm": _report(judge_scores(images, "segm"), names),
        "mask_iou": _report(judge_mask_ious(images), names) if is_rescored else None,
    }


def judge_scores(images: list[ImageInstances], kind: Kind) -> Judged:
    """Every detection's score and whether it is right; those on crowds are left out."""
    parts = []
    for image in images:
        matches = match_image(image, kind, IOU_THRESHOLD)
        counted = matches.object_N != IGNORED
        index = matches.order_N[counted]
        right = (matches.object_N[counted] >= 0).astype(np.float64)
        sizes = size_of(image.areas(kind)[index])
        parts.append(Judged(image.scores(kind)[index], right, image.labels_N[index], sizes))
    return _joined(parts)


def judge_mask_ious(images: list[ImageInstances]) -> Judged:
    """Predicted and real mask IoU of the detections whose box has found an object."""
    parts = []
    for image in images:
        matches = match_image(image, "bbox", IOU_THRESHOLD)
        hit = matches.object_N >= 0
        index, target = matches.order_N[hit], matches.object_N[hit]
        real = image.ious("segm")[index, target]
        predicted = image.mask_scores_N[index] / np.maximum(image.class_scores_N[index], 1e-12)
        sizes = size_of(image.areas("segm")[index])
        parts.append(Judged(predicted, real, image.labels_N[index], sizes))
    return _joined(parts)


def _joined(parts: list[Judged]) -> Judged:
    return Judged(
        np.concatenate([np.zeros(0), *(part.claimed_N for part in parts)]),
        np.concatenate([np.zeros(0), *(part.true_N for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.labels_N for part in parts)]),
        np.concatenate([np.zeros(0, "<U6"), *(part.sizes_N for part in parts)]),
    )


def _report(judged: Judged, names: dict[int, str]) -> dict[str, Any]:
    return {
        **_figures(judged),
        "bins": _bins(judged),
        "per_size": {size: _figures(judged.only(judged.sizes_N == size)) for size in AREAS},
        "per_class": {
            name: _figures(judged.only(judged.labels_N == label))
            for label, name in sorted(names.items())
        },
    }


def _figures(judged: Judged) -> dict[str, Any]:
    count = len(judged.claimed_N)
    if count == 0:
        nothing = dict.fromkeys(("claimed", "true", "error", "squared_error", "correlation"))
        return {"count": 0, **nothing}
    gaps = [
        abs(each["claimed"] - each["true"]) * each["count"]
        for each in _bins(judged)
        if each["count"]
    ]
    return {
        "count": count,
        "claimed": float(judged.claimed_N.mean()),
        "true": float(judged.true_N.mean()),
        "error": float(sum(gaps) / count),
        "squared_error": float(((judged.claimed_N - judged.true_N) ** 2).mean()),
        "correlation": _correlation(judged.claimed_N, judged.true_N),
    }


def _bins(judged: Judged) -> list[dict[str, Any]]:
    """Ten equal bins of the claim; a predicted IoU above 1 falls into the last."""
    index_N = np.clip((judged.claimed_N * BINS).astype(np.int64), 0, BINS - 1)
    bins = []
    for number in range(BINS):
        mine = index_N == number
        bins.append(
            {
                "low": number / BINS,
                "high": (number + 1) / BINS,
                "count": int(mine.sum()),
                "claimed": float(judged.claimed_N[mine].mean()) if mine.any() else None,
                "true": float(judged.true_N[mine].mean()) if mine.any() else None,
            }
        )
    return bins


def _correlation(a_N: NDArray[np.float64], b_N: NDArray[np.float64]) -> float | None:
    if a_N.std() == 0 or b_N.std() == 0:
        return None
    return float(np.corrcoef(a_N, b_N)[0, 1])
