"""Calibration of scores and of predicted mask IoU: worked values and simulated truth."""

from pathlib import Path

import numpy as np
import pytest

from tests.evaluation_data import made_up, rle, write_annotations
from yolactpp.evaluation.calibration import Judged, _report, calibration
from yolactpp.evaluation.coco import load_annotations

SIDE = 200


def test_worked_bins() -> None:
    """Scores 0.91 and 0.95 with one right: gap 0.43; 0.2 wrong: gap 0.2; mean (0.86 + 0.2) / 3."""
    judged = Judged(
        np.array([0.91, 0.95, 0.2]),
        np.array([1.0, 0.0, 0.0]),
        np.array([1, 2, 1]),
        np.array(["small", "large", "small"]),
    )
    report = _report(judged, {1: "one", 2: "two", 3: "three"})
    assert report["error"] == pytest.approx((2 * 0.43 + 0.2) / 3)
    assert report["squared_error"] == pytest.approx((0.09**2 + 0.95**2 + 0.2**2) / 3)
    assert [each["count"] for each in report["bins"]] == [0, 0, 1, 0, 0, 0, 0, 0, 0, 2]
    assert report["bins"][9]["claimed"] == pytest.approx(0.93)
    assert report["bins"][9]["true"] == 0.5
    assert report["per_size"]["small"]["count"] == 2
    assert report["per_class"]["two"]["claimed"] == pytest.approx(0.95)
    assert report["per_class"]["three"] == {
        "count": 0,
        "claimed": None,
        "true": None,
        "error": None,
        "squared_error": None,
        "correlation": None,
    }


def test_scores_drawn_from_the_truth_are_calibrated() -> None:
    random = np.random.default_rng(0)
    scores = random.random(20000)
    judged = Judged(
        scores,
        (random.random(20000) < scores).astype(float),
        np.ones(20000, np.int64),
        np.full(20000, "small"),
    )
    assert _report(judged, {1: "one"})["error"] < 0.02


def one_object(folder: Path, predicted_iou: float) -> dict:
    """A 100 x 100 object; its box is found exactly, its mask covers the upper 60 rows."""
    whole, part = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    whole[50:150, 50:150] = True
    part[50:110, 50:150] = True
    shared = {"image_id": 0, "category_id": 1}
    truth = {**shared, "id": 1, "bbox": [50, 50, 100, 100], "segmentation": rle(whole)}
    path = write_annotations(folder, [(0, SIDE, SIDE)], [truth], [{"id": 1, "name": "one"}])
    bbox = [{**shared, "bbox": [50, 50, 100, 100], "score": 0.8}]
    segm = [{**shared, "segmentation": rle(part), "score": 0.8 * predicted_iou, "box_score": 0.8}]
    return calibration(load_annotations(path), bbox, segm)


def test_predicted_mask_iou_against_the_real_one(tmp_path: Path) -> None:
    report = one_object(tmp_path, 0.9)["mask_iou"]
    assert report["count"] == 1
    assert report["claimed"] == pytest.approx(0.9)
    assert report["true"] == pytest.approx(0.6)
    assert report["error"] == pytest.approx(0.3)
    assert report["per_size"]["medium"]["count"] == 1
    assert report["correlation"] is None


def test_without_rescoring_there_is_no_mask_iou_to_judge(tmp_path: Path) -> None:
    assert one_object(tmp_path, 1.0)["mask_iou"] is None


def test_crowds_are_left_out_and_parts_add_up(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path, images=25)
    report = calibration(load_annotations(annotations), bbox, segm)
    for kind in ("bbox", "segm", "mask_iou"):
        for parts in (report[kind]["per_size"], report[kind]["per_class"]):
            assert sum(part["count"] for part in parts.values()) == report[kind]["count"]
    assert report["bbox"]["count"] < len(bbox)
