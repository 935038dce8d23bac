"""COCO's average precision and recall, by pycocotools or faster-coco-eval. Does not import torch.

Array letters: T IoU thresholds, R recall points, K categories, A object sizes, D detection limits.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from faster_coco_eval import COCO as FasterCoco
from faster_coco_eval import COCOeval_faster
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Backend = Literal["pycocotools", "faster_coco_eval"]
Kind = Literal["bbox", "segm"]
Metrics = dict[str, Any]
IOU_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
SIZES = ("small", "medium", "large")
LIMITS = (1, 10, 100)


def coco_metrics(
    annotations_file: str | Path,
    bbox_records: Sequence[dict[str, Any]],
    segm_records: Sequence[dict[str, Any]],
    backend: Backend = "pycocotools",
    *,
    classes: Sequence[str] | None = None,
) -> dict[str, Metrics]:
    """COCO's metrics of boxes and masks, as eval.json holds them.

    Args:
        annotations_file: ground truth in COCO format; `iscrowd` and `area` may be missing.
        bbox_records: results with `bbox` and the class score.
        segm_records: results with `segmentation` (RLE) and the mask score.
        backend: which library counts; both give the same numbers (test: test_coco.py).
        classes: names of the categories that count; None counts all.

    Returns:
        {"bbox": M, "segm": M} with M = AP, AP50 ... AP95, AP_small|medium|large, AR1|10|100 as
        fractions and per_class; None where COCO has -1.

    Raises:
        ValueError: an unknown backend; a result for an image the annotation file does not hold.
    """
    dataset = load_annotations(annotations_file, classes)
    results: dict[Kind, Sequence[dict[str, Any]]] = {"bbox": bbox_records, "segm": segm_records}
    return {
        kind: summarise(accumulated(dataset, records, kind, backend), dataset["categories"])
        for kind, records in results.items()
    }


def load_annotations(
    annotations_file: str | Path, classes: Sequence[str] | None = None
) -> dict[str, Any]:
    """A COCO annotation file with `iscrowd` and `area` filled in where they are missing.

    A missing area is its mask's number of pixels, as COCO defines it. The one place where ground
    truth is narrowed to a choice of classes: categories and annotations; all images stay.

    Args:
        annotations_file: ground truth in COCO format.
        classes: names of the categories to keep; None keeps all.

    Raises:
        ValueError: a name that the file does not hold.
    """
    dataset = json.loads(Path(annotations_file).read_text(encoding="utf-8"))
    if classes is not None:
        dataset = _only_classes(dataset, classes, annotations_file)
    sizes = {image["id"]: (image["height"], image["width"]) for image in dataset["images"]}
    for annotation in dataset["annotations"]:
        annotation.setdefault("iscrowd", 0)
        if annotation.get("area") is None:
            height, width = sizes[annotation["image_id"]]
            annotation["area"] = float(coco_mask.area(to_rle(annotation, height, width)))
    return dataset


def to_rle(annotation: dict[str, Any], height: int, width: int) -> dict[str, Any]:
    """An annotation's segmentation (polygons or run lengths) as compressed RLE."""
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, height, width)
    return segmentation


def accumulated(
    dataset: dict[str, Any],
    records: Sequence[dict[str, Any]],
    kind: Kind,
    backend: Backend = "pycocotools",
) -> dict[str, NDArray[np.float64]]:
    """COCO's `precision` [T, R, K, A, D], `recall` [T, K, A, D] and `scores`; -1 is undefined.

    Args:
        dataset: from `load_annotations`; not changed.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend={backend!r}: choose one of {', '.join(get_args(Backend))}")
    images = {image["id"] for image in dataset["images"]}
    strangers = sorted({str(r["image_id"]) for r in records if r["image_id"] not in images})
    if strangers:
        raise ValueError(
            f"results for {len(strangers)} images that the annotation file does not hold "
            f"({', '.join(strangers[:5])}): the predictions belong to another data set"
        )
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = _evaluation(dataset, records, kind, backend)
        evaluation.evaluate()
        evaluation.accumulate()
    return {name: np.asarray(evaluation.eval[name]) for name in ("precision", "recall", "scores")}


def summarise(arrays: dict[str, NDArray[np.float64]], categories: list[dict]) -> Metrics:
    """M of eval.json from COCO's arrays; categories in ascending order of id, as COCO counts."""
    precision, recall = arrays["precision"], arrays["recall"]
    metrics: Metrics = {"AP": _mean(precision[:, :, :, 0, -1])}
    for threshold, iou in enumerate(IOU_THRESHOLDS):
        metrics[f"AP{round(iou * 100)}"] = _mean(precision[threshold, :, :, 0, -1])
    for area, size in enumerate(SIZES, start=1):
        metrics[f"AP_{size}"] = _mean(precision[:, :, :, area, -1])
    for limit, number in enumerate(LIMITS):
        metrics[f"AR{number}"] = _mean(recall[:, :, 0, limit])
    ordered = sorted(categories, key=lambda category: category["id"])
    metrics["per_class"] = {
        category["name"]: {
            "AP": _mean(precision[:, :, index, 0, -1]),
            "AP50": _mean(precision[0, :, index, 0, -1]),
            "AP75": _mean(precision[5, :, index, 0, -1]),
        }
        for index, category in enumerate(ordered)
    }
    return metrics


def _only_classes(
    dataset: dict[str, Any], classes: Sequence[str], annotations_file: str | Path
) -> dict[str, Any]:
    categories = [each for each in dataset["categories"] if each["name"] in classes]
    names = {each["name"] for each in dataset["categories"]}
    if missing := [name for name in classes if name not in names]:
        raise ValueError(
            f"classes {', '.join(missing)} are not in {annotations_file}, which holds "
            f"{', '.join(sorted(names))}"
        )
    kept = {each["id"] for each in categories}
    annotations = [each for each in dataset["annotations"] if each["category_id"] in kept]
    return {**dataset, "categories": categories, "annotations": annotations}


def _evaluation(
    dataset: dict[str, Any], records: Sequence[dict[str, Any]], kind: Kind, backend: Backend
) -> Any:
    if backend == "faster_coco_eval":
        truth, found, evaluator = FasterCoco(), FasterCoco(), COCOeval_faster
    else:
        truth, found, evaluator = COCO(), COCO(), COCOeval
    truth.dataset = {**dataset, "annotations": [dict(each) for each in dataset["annotations"]]}
    truth.createIndex()
    if records:
        found = truth.loadRes([dict(each) for each in records])
    else:
        found.dataset = {**dataset, "annotations": []}
        found.createIndex()
    return evaluator(truth, found, kind)


def _mean(values: NDArray[np.float64]) -> float | None:
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None
