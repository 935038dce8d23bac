"""Boundary AP: the boundary against OpenCV's erosion, AP against a loop over full masks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tests.evaluation_data import ellipse, made_up, rle
from yolactpp.evaluation.boundary import _BoundaryEvaluation, boundary_metrics, boundary_rle
from yolactpp.evaluation.coco import coco_metrics, load_annotations


def boundary_by_erosion(mask: np.ndarray, ratio: float) -> np.ndarray:
    """The whole image padded by zeros and eroded pixel by pixel, as the paper's authors do."""
    distance = max(1, round(ratio * np.hypot(*mask.shape)))
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)
    return mask & (eroded[1:-1, 1:-1] == 0)


@pytest.mark.parametrize("ratio", [0.001, 0.02, 0.08])
@pytest.mark.parametrize(
    "shape", [(50, 40, 30, 20), (2, 3, 30, 20), (60, 60, 200, 200), (30, 30, 2, 2)]
)
def test_boundary_equals_erosion(ratio: float, shape: tuple[float, ...]) -> None:
    mask = ellipse(90, 110, *shape)
    np.testing.assert_array_equal(
        coco_mask.decode(boundary_rle(rle(mask), ratio)), boundary_by_erosion(mask, ratio)
    )


def test_a_square_by_hand() -> None:
    """20 x 20 in 100 x 100 with a boundary of 3: a ring of 20^2 - 14^2 pixels."""
    mask = np.zeros((100, 100), bool)
    mask[30:50, 40:60] = True
    assert coco_mask.area(boundary_rle(rle(mask), 0.02)) == 20**2 - 14**2


def test_overlaps_equal_a_loop(tmp_path: Path) -> None:
    annotations, _, segm = made_up(tmp_path)
    dataset = load_annotations(annotations)
    truth = COCO()
    truth.dataset = dataset
    truth.createIndex()
    evaluation = _BoundaryEvaluation(truth, truth.loadRes([dict(r) for r in segm]), 0.02)
    evaluation.evaluate()
    compared = 0
    for (image, category), overlaps in evaluation.ious.items():
        found = [r for r in segm if (r["image_id"], r["category_id"]) == (image, category)]
        found.sort(key=lambda record: -record["score"])
        objects = [
            a
            for a in dataset["annotations"]
            if (a["image_id"], a["category_id"]) == (image, category) and not a["iscrowd"]
        ]
        if not found or len(objects) != np.shape(overlaps)[-1]:
            continue
        for n, record in enumerate(found):
            for g, target in enumerate(objects):
                a, b = (coco_mask.decode(x["segmentation"]).astype(bool) for x in (record, target))
                edge_a, edge_b = boundary_by_erosion(a, 0.02), boundary_by_erosion(b, 0.02)
                mask_iou = (a & b).sum() / (a | b).sum()
                edge_iou = (edge_a & edge_b).sum() / (edge_a | edge_b).sum()
                if mask_iou >= 0.5:
                    assert overlaps[n, g] == pytest.approx(min(mask_iou, edge_iou))
                    compared += 1
                else:
                    assert overlaps[n, g] < 0.5
    assert compared > 10


def test_boundary_ap_is_at_most_mask_ap_and_tells_its_dilation(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path, images=20)
    metrics = boundary_metrics(load_annotations(annotations), segm)
    assert metrics["dilation_ratio"] == 0.02
    masks = coco_metrics(annotations, bbox, segm)["segm"]
    assert 0 < metrics["AP"] < masks["AP"]
    assert metrics["AP_medium"] < masks["AP_medium"]
    assert set(metrics["per_class"]) == set(masks["per_class"])


def test_a_boundary_wider_than_every_mask_gives_mask_ap(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path)
    metrics = boundary_metrics(load_annotations(annotations), segm, dilation_ratio=1)
    assert metrics["AP"] == coco_metrics(annotations, bbox, segm)["segm"]["AP"]


def test_no_predictions(tmp_path: Path) -> None:
    annotations, _, _ = made_up(tmp_path)
    assert boundary_metrics(load_annotations(annotations), [])["AP"] == 0
