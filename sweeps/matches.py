"""Which detection found which object, for every IoU threshold at once: the raw material of AP.

The rules are those of COCO's evaluation for the area range `all`, including its habits: stable
sorting by falling score, the last of several equal overlaps wins, at most 100 detections for each
image and class. `sweeps.bootstrap` turns matches into average precision under any image weights.

Shape letters: I images, D detections of a class (sorted by falling score), T IoU thresholds.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO

from yolactpp.evaluation.coco import load_annotations

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
MAX_DETECTIONS = 100
TASKS = ("bbox", "segm")


@dataclass(frozen=True)
class ClassMatches:
    """The detections of one class over all images, ready for weighted sums.

    Args:
        name: the class, as the annotation file calls it.
        scores_D: falling; equal scores stand in the order of their images.
        image_D: index into the images' sorted ids.
        matched_TD: the detection found an object (a crowd region counts as one here).
        ignored_TD: what it found is a crowd region, so it is neither right nor wrong.
        objects_I: objects, crowds left out, in each image.
    """

    name: str
    scores_D: np.ndarray
    image_D: np.ndarray
    matched_TD: np.ndarray
    ignored_TD: np.ndarray
    objects_I: np.ndarray


@dataclass(frozen=True)
class Matches:
    """One run's detections against the ground truth for one task.

    Args:
        image_ids: sorted, as pycocotools has them.
        classes: one entry for each category of the annotation file, sorted by id.
    """

    image_ids: tuple[int, ...]
    classes: tuple[ClassMatches, ...]


class GroundTruth:
    """An annotation file with its masks encoded once, to be matched against many runs.

    Args:
        annotations_file: COCO instances JSON.
        classes: names of the categories that count; None counts all.
    """

    def __init__(self, annotations_file: Path, classes: Sequence[str] | None = None) -> None:
        self.coco = COCO()
        self.coco.dataset = load_annotations(annotations_file, classes)
        with contextlib.redirect_stdout(io.StringIO()):
            self.coco.createIndex()
        self.annotations_file = annotations_file
        self.image_ids = tuple(sorted(set(self.coco.getImgIds())))
        self.categories = {key: self.coco.cats[key]["name"] for key in sorted(self.coco.cats)}
        self._annotations: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
        for annotation in self.coco.loadAnns(self.coco.getAnnIds(imgIds=list(self.image_ids))):
            key = (annotation["image_id"], annotation["category_id"])
            self._annotations[key].append(annotation)
        self._regions: dict[tuple[str, int, int], list[Any]] = {}

    def annotations(self, image_id: int, category_id: int) -> list[dict[str, Any]]:
        """The objects and crowds of one class in one image."""
        return self._annotations.get((image_id, category_id), [])

    def regions(self, task: str, image_id: int, category_id: int) -> list[Any]:
        """Boxes (x, y, w, h) or run-length codes in the order of `annotations`."""
        key = (task, image_id, category_id)
        if key not in self._regions:
            found = self.annotations(image_id, category_id)
            if task == "bbox":
                self._regions[key] = [annotation["bbox"] for annotation in found]
            else:
                self._regions[key] = [self.coco.annToRLE(annotation) for annotation in found]
        return self._regions[key]


@lru_cache(maxsize=8)
def ground_truth(
    annotations_file: Path, classes: tuple[str, ...] | None, modified_ns: int
) -> GroundTruth:
    """A cached `GroundTruth`; the last argument makes the cache forget a file that changed."""
    del modified_ns
    return GroundTruth(annotations_file, classes)


def load_ground_truth(annotations_file: Path, classes: Sequence[str] | None = None) -> GroundTruth:
    """The annotation file narrowed to some classes, read once for each state of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a class that the file does not hold.
    """
    chosen = None if classes is None else tuple(classes)
    return ground_truth(annotations_file, chosen, annotations_file.stat().st_mtime_ns)


def match(
    truth: GroundTruth,
    records: Sequence[dict[str, Any]],
    task: str,
    iou_thresholds: np.ndarray = IOU_THRESHOLDS,
) -> Matches:
    """Match COCO result records of one task against the ground truth.

    Args:
        truth: the validation set.
        records: `{"image_id", "category_id", "score", "bbox" | "segmentation"}`.
        task: `bbox` or `segm`.
        iou_thresholds: rising, in (0, 1].

    Raises:
        ValueError: unknown task, or a record of an image that the annotations do not hold.

    Source: T.-Y. Lin et al., Microsoft COCO, ECCV 2014, and its reference evaluation.
    """
    if task not in TASKS:
        raise ValueError(f"task={task!r}: use one of {', '.join(TASKS)}")
    by_cell: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        by_cell[record["image_id"], record["category_id"]].append(record)
    known = set(truth.image_ids)
    strangers = sorted({image for image, _ in by_cell} - known)
    if strangers:
        raise ValueError(
            f"predictions for image ids {strangers[:5]} that {truth.annotations_file} does not "
            "hold: these predictions belong to another data set"
        )
    classes = [
        _match_class(truth, by_cell, category_id, task, iou_thresholds)
        for category_id in truth.categories
    ]
    return Matches(truth.image_ids, tuple(classes))


def _match_class(
    truth: GroundTruth,
    by_cell: dict[tuple[int, int], list[dict[str, Any]]],
    category_id: int,
    task: str,
    iou_thresholds: np.ndarray,
) -> ClassMatches:
    scores, images, matched, ignored = [], [], [], []
    objects_I = np.zeros(len(truth.image_ids), dtype=np.int64)
    for index, image_id in enumerate(truth.image_ids):
        annotations = truth.annotations(image_id, category_id)
        objects_I[index] = sum(not annotation.get("iscrowd", 0) for annotation in annotations)
        detections = by_cell.get((image_id, category_id), [])
        if not detections:
            continue
        score_d = np.array([detection["score"] for detection in detections], dtype=np.float64)
        order = np.argsort(-score_d, kind="stable")[:MAX_DETECTIONS]
        found_Td, crowd_Td = _match_image(
            [_region(detections[i], task) for i in order],
            truth.regions(task, image_id, category_id),
            annotations,
            iou_thresholds,
        )
        scores.append(score_d[order])
        images.append(np.full(len(order), index))
        matched.append(found_Td)
        ignored.append(crowd_Td)
    name = truth.categories[category_id]
    thresholds = len(iou_thresholds)
    if not scores:
        none_TD = np.zeros((thresholds, 0), dtype=bool)
        return ClassMatches(
            name, np.zeros(0), np.zeros(0, dtype=np.int64), none_TD, none_TD, objects_I
        )
    scores_D = np.concatenate(scores)
    order = np.argsort(-scores_D, kind="stable")
    return ClassMatches(
        name,
        scores_D[order],
        np.concatenate(images)[order],
        np.concatenate(matched, axis=1)[:, order],
        np.concatenate(ignored, axis=1)[:, order],
        objects_I,
    )


def _match_image(
    detections: list[Any],
    objects: list[Any],
    annotations: list[dict[str, Any]],
    iou_thresholds: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Greedy matching of one class in one image.

    Returns:
        `(matched [T, d], ignored [T, d])`, detections by falling score.
    """
    matched = np.zeros((len(iou_thresholds), len(detections)), dtype=bool)
    ignored = np.zeros_like(matched)
    if not objects:
        return matched, ignored
    crowd_G = np.array([bool(annotation.get("iscrowd", 0)) for annotation in annotations])
    # The reference marks a match by the annotation's id, so an object with id 0 is never "matched".
    counts_G = np.array([annotation["id"] != 0 for annotation in annotations])
    iou_dG = np.asarray(rle_codec.iou(detections, objects, crowd_G.astype(int).tolist()))
    limit_T = np.minimum(iou_thresholds, 1 - 1e-10)
    free_TG = np.ones((len(iou_thresholds), len(objects)), dtype=bool)
    for d in np.flatnonzero(iou_dG.max(axis=1) >= limit_T[0]):
        reached_TG = iou_dG[d] >= limit_T[:, None]
        best_T = _last_best(iou_dG[d], reached_TG & free_TG & ~crowd_G)
        crowd_T = _last_best(iou_dG[d], reached_TG & crowd_G)
        ignored[:, d] = (best_T < 0) & (crowd_T >= 0)
        winner_T = np.where(best_T >= 0, best_T, crowd_T)
        matched[:, d] = (winner_T >= 0) & counts_G[winner_T]
        taken = np.flatnonzero(best_T >= 0)
        free_TG[taken, best_T[taken]] = False
    return matched, ignored


def _last_best(iou_G: np.ndarray, allowed_TG: np.ndarray) -> np.ndarray:
    """For each threshold the allowed object of greatest overlap, the last of equals; -1 if none."""
    candidates_TG = np.where(allowed_TG, iou_G, -1.0)[:, ::-1]
    best_T = candidates_TG.shape[1] - 1 - candidates_TG.argmax(axis=1)
    return np.where(allowed_TG.any(axis=1), best_T, -1)


def as_rle(segmentation: dict[str, Any]) -> dict[str, Any]:
    """A detection's mask as a compressed run-length code, whichever way it is stored."""
    if isinstance(segmentation["counts"], list):
        height, width = segmentation["size"]
        return rle_codec.frPyObjects(segmentation, height, width)
    return segmentation


def _region(record: dict[str, Any], task: str) -> Any:
    return record["bbox"] if task == "bbox" else as_rle(record["segmentation"])
