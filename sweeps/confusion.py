"""Which class was taken for which: detections matched to objects whatever their classes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from pycocotools import mask as rle_codec

from sweeps.matches import GroundTruth, as_rle

LEAST_IOU = 0.5
LEAST_SCORE = 0.3


def confusion_matrix(
    truth: GroundTruth,
    records: list[dict[str, Any]],
    least_iou: float = LEAST_IOU,
    least_score: float = LEAST_SCORE,
) -> np.ndarray:
    """Counts of (true class, predicted class) by mask overlap; crowds are left out.

    Detections take, by falling score, the free object that they overlap most. The last row counts
    detections without an object, the last column objects without a detection.

    Returns:
        int64 [K + 1, K + 1], classes in the order of `truth.categories`.
    """
    labels = {category_id: k for k, category_id in enumerate(truth.categories)}
    counts = np.zeros((len(labels) + 1, len(labels) + 1), dtype=np.int64)
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        if record["score"] >= least_score and record["category_id"] in labels:
            by_image[record["image_id"]].append(record)
    for image_id in truth.image_ids:
        found = sorted(by_image[image_id], key=lambda record: -record["score"])
        predicted = [labels[record["category_id"]] for record in found]
        true, crowd, codes = _objects(truth, image_id, labels)
        if found and codes:
            regions = [as_rle(record["segmentation"]) for record in found]
            iou_DG = np.asarray(rle_codec.iou(regions, codes, crowd))
            pairs = _greedy(iou_DG, np.array(crowd, dtype=bool), least_iou)
        else:
            pairs = [-1] * len(found)
        for label, g in zip(predicted, pairs, strict=True):
            if g < 0:
                counts[-1, label] += 1
            elif not crowd[g]:
                counts[true[g], label] += 1
        for g in set(range(len(true))) - set(pairs):
            if not crowd[g]:
                counts[true[g], -1] += 1
    return counts


def _objects(
    truth: GroundTruth, image_id: int, labels: dict[int, int]
) -> tuple[list[int], list[int], list[Any]]:
    """Labels, crowd flags and run-length codes of all objects of an image."""
    true: list[int] = []
    crowd: list[int] = []
    codes: list[Any] = []
    for category_id, label in labels.items():
        annotations = truth.annotations(image_id, category_id)
        true += [label] * len(annotations)
        crowd += [int(annotation.get("iscrowd", 0)) for annotation in annotations]
        codes += truth.regions("segm", image_id, category_id)
    return true, crowd, codes


def _greedy(iou_DG: np.ndarray, crowd_G: np.ndarray, least_iou: float) -> list[int]:
    """The object of each detection, or -1; an object is taken once, a crowd region at will."""
    free_G = np.ones(iou_DG.shape[1], dtype=bool)
    pairs = []
    for iou_G in iou_DG:
        best = -1
        for candidates_G in (free_G & ~crowd_G, crowd_G):
            masked_G = np.where(candidates_G, iou_G, -1.0)
            if best < 0 and masked_G.max() >= least_iou:
                best = int(masked_G.argmax())
        if best >= 0:
            free_G[best] = False
        pairs.append(best)
    return pairs
