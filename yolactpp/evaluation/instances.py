"""Ground truth and stored predictions of each image, side by side. Does not import torch.

Shape letters: G ground-truth objects, N detections.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from yolactpp.evaluation.coco import Kind, to_rle

Floats = NDArray[np.float64]
AREAS = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, np.inf)}


@dataclass
class ImageInstances:
    """One image: what is there and what was found, in the order of the files.

    Args:
        height, width: pixels of the image.
        truth_labels_G: category ids.
        is_crowd_G: crowd regions, which COCO ignores.
        truth_boxes_G4: x, y, width, height in pixels.
        truth_areas_G: COCO's area of each object.
        truth_masks: compressed RLE of each object.
        labels_N: category ids.
        class_scores_N: class probability, ranks boxes.
        mask_scores_N: re-scored probability, ranks masks.
        boxes_N4: x, y, width, height in pixels.
        masks: compressed RLE of each detection.
    """

    height: int
    width: int
    truth_labels_G: NDArray[np.int64]
    is_crowd_G: NDArray[np.bool_]
    truth_boxes_G4: Floats
    truth_areas_G: Floats
    truth_masks: list[dict[str, Any]]
    labels_N: NDArray[np.int64]
    class_scores_N: Floats
    mask_scores_N: Floats
    boxes_N4: Floats
    masks: list[dict[str, Any]]

    def scores(self, kind: Kind) -> Floats:
        """What ranks this kind's detections."""
        return self.class_scores_N if kind == "bbox" else self.mask_scores_N

    def areas(self, kind: Kind) -> Floats:
        """Area of each detection in pixels: its box's or its mask's."""
        if kind == "bbox":
            return self.boxes_N4[:, 2] * self.boxes_N4[:, 3]
        return np.array([coco_mask.area(mask) for mask in self.masks], dtype=np.float64)

    def ious(self, kind: Kind) -> Floats:
        """[N, G] overlaps; with a crowd it is the share of the detection that lies in it."""
        if not len(self.labels_N) or not len(self.truth_labels_G):
            return np.zeros((len(self.labels_N), len(self.truth_labels_G)))
        crowd = self.is_crowd_G.astype(np.uint8)
        if kind == "bbox":
            return coco_mask.iou(self.boxes_N4, self.truth_boxes_G4, crowd)
        return coco_mask.iou(self.masks, self.truth_masks, crowd)


def load_instances(
    dataset: dict[str, Any],
    bbox_records: Sequence[dict[str, Any]],
    segm_records: Sequence[dict[str, Any]],
) -> list[ImageInstances]:
    """All images of an annotation file in its order, with their objects and detections.

    Args:
        dataset: from `load_annotations`.
        bbox_records, segm_records: stored predictions, index by index of the same detections.

    Raises:
        ValueError: the two lists do not belong together.
    """
    _check_pairs(bbox_records, segm_records)
    truth_of, found_of = defaultdict(list), defaultdict(list)
    for annotation in dataset["annotations"]:
        truth_of[annotation["image_id"]].append(annotation)
    for pair in zip(bbox_records, segm_records, strict=True):
        found_of[pair[0]["image_id"]].append(pair)
    return [
        _image(image["height"], image["width"], truth_of[image["id"]], found_of[image["id"]])
        for image in dataset["images"]
    ]


def size_of(areas: Floats) -> NDArray[np.str_]:
    """Name of each area's size class, COCO's limits at 32 and 96 pixels squared."""
    limits = [low for low, _ in AREAS.values()][1:]
    return np.array(list(AREAS))[np.searchsorted(limits, areas, side="right")]


def _check_pairs(bbox_records: Sequence[dict], segm_records: Sequence[dict]) -> None:
    if len(bbox_records) != len(segm_records):
        raise ValueError(
            f"{len(bbox_records)} box records but {len(segm_records)} mask records: "
            "both files must list the same detections in the same order"
        )
    for index, (box, mask) in enumerate(zip(bbox_records, segm_records, strict=True)):
        if (box["image_id"], box["category_id"]) != (mask["image_id"], mask["category_id"]):
            raise ValueError(
                f"record {index}: the box is of image {box['image_id']}, category "
                f"{box['category_id']}, the mask of image {mask['image_id']}, category "
                f"{mask['category_id']}: both files must list the same detections in the same order"
            )


def _image(
    height: int, width: int, truth: list[dict], found: list[tuple[dict, dict]]
) -> ImageInstances:
    return ImageInstances(
        height=height,
        width=width,
        truth_labels_G=np.array([each["category_id"] for each in truth], dtype=np.int64),
        is_crowd_G=np.array([each["iscrowd"] for each in truth], dtype=bool),
        truth_boxes_G4=np.array([each["bbox"] for each in truth], dtype=np.float64).reshape(-1, 4),
        truth_areas_G=np.array([each["area"] for each in truth], dtype=np.float64),
        truth_masks=[to_rle(each, height, width) for each in truth],
        labels_N=np.array([box["category_id"] for box, _ in found], dtype=np.int64),
        class_scores_N=np.array([box["score"] for box, _ in found], dtype=np.float64),
        mask_scores_N=np.array([mask["score"] for _, mask in found], dtype=np.float64),
        boxes_N4=np.array([box["bbox"] for box, _ in found], dtype=np.float64).reshape(-1, 4),
        masks=[mask["segmentation"] for _, mask in found],
    )
