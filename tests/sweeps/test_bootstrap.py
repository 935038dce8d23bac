"""Average precision under image weights: equal to pycocotools, also on repeated images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sweeps.bootstrap import (
    average_precision,
    mean_ap,
    precision_curves,
    resample_weights,
    threshold_ap,
)
from sweeps.matches import GroundTruth, match
from tests.sweeps.made_runs import coco_stats, make_dataset, predictions

TASKS = ["bbox", "segm"]


def reference_ap(annotations: Path, records: list[dict], task: str) -> np.ndarray:
    """pycocotools' AP for each class and threshold, [K, T]; NaN where it has -1."""
    precision_TRK = coco_stats(annotations, records, task).eval["precision"][:, :, :, 0, 2]
    ap_KT = precision_TRK.mean(axis=1).T
    return np.where(ap_KT < 0, np.nan, ap_KT)


def repeated(annotations: Path, records: list[dict], copies: dict[int, int], folder: Path):
    """The data set with image i standing `copies[i]` times, its copies next to each other."""
    content = json.loads(annotations.read_text())
    images, objects, found = [], [], []
    for image in sorted(content["images"], key=lambda each: each["id"]):
        for copy in range(copies[image["id"]]):
            fresh = image["id"] * 100 + copy
            images.append(image | {"id": fresh})
            objects += [
                each | {"id": len(objects) + offset + 1, "image_id": fresh}
                for offset, each in enumerate(
                    a for a in content["annotations"] if a["image_id"] == image["id"]
                )
            ]
            found += [r | {"image_id": fresh} for r in records if r["image_id"] == image["id"]]
    path = folder / "repeated.json"
    path.write_text(json.dumps(content | {"images": images, "annotations": objects}))
    return path, found


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [("butt",), ("butt", "can", "lid")])
def test_unit_weights_equal_pycocotools(tmp_path, task, ties, classes):
    made = make_dataset(tmp_path, 40, classes, crowds=True)
    records = predictions(made, 0.3, 1, ties=ties)[TASKS.index(task)]
    ap_RKT = average_precision(match(GroundTruth(made.annotations), records, task))
    evaluation = coco_stats(made.annotations, records, task)
    matches = match(GroundTruth(made.annotations), records, task)
    np.testing.assert_allclose(
        precision_curves(matches).transpose(1, 2, 0),
        evaluation.eval["precision"][:, :, :, 0, 2],
        rtol=0,
        atol=1e-12,
    )
    np.testing.assert_allclose(
        ap_RKT[0], reference_ap(made.annotations, records, task), rtol=0, atol=1e-9
    )
    assert mean_ap(ap_RKT)[0] == pytest.approx(evaluation.stats[0], abs=1e-9)
    assert threshold_ap(ap_RKT)[0, 5] == pytest.approx(evaluation.stats[2], abs=1e-9)
    assert 0.1 < mean_ap(ap_RKT)[0] < 0.95


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("ties", [False, True])
def test_a_replicate_is_the_ap_of_the_repeated_images(tmp_path, task, ties):
    made = make_dataset(tmp_path, 20, ("butt", "can"), crowds=True)
    records = predictions(made, 0.4, 2, false_alarms=3, ties=ties)[TASKS.index(task)]
    matches = match(GroundTruth(made.annotations), records, task)
    weights_RI = resample_weights(20, 3, np.random.default_rng(4))
    ap_RKT = average_precision(matches, weights_RI)
    for weights_I, ap_KT in zip(weights_RI, ap_RKT, strict=True):
        copies = dict(zip(matches.image_ids, weights_I.tolist(), strict=True))
        path, found = repeated(made.annotations, records, copies, tmp_path)
        np.testing.assert_allclose(ap_KT, reference_ap(path, found, task), rtol=0, atol=1e-9)


def test_more_than_a_hundred_detections_are_cut_as_pycocotools_does(tmp_path):
    made = make_dataset(tmp_path, 4)
    records = predictions(made, 0.3, 3, false_alarms=250)[0]
    ap_RKT = average_precision(match(GroundTruth(made.annotations), records, "bbox"))
    expected_KT = reference_ap(made.annotations, records, "bbox")
    np.testing.assert_allclose(ap_RKT[0], expected_KT, rtol=0, atol=1e-9)


def test_an_object_with_id_zero_is_lost_as_in_pycocotools(tmp_path):
    made = make_dataset(tmp_path, 6)
    content = json.loads(made.annotations.read_text())
    for annotation in content["annotations"]:
        annotation["id"] -= 1
    made.annotations.write_text(json.dumps(content))
    records = predictions(made, 0.1, 3)[0]
    ap_RKT = average_precision(match(GroundTruth(made.annotations), records, "bbox"))
    expected_KT = reference_ap(made.annotations, records, "bbox")
    np.testing.assert_allclose(ap_RKT[0], expected_KT, rtol=0, atol=1e-9)


def test_no_detection_is_zero_and_no_object_is_nan(tmp_path):
    made = make_dataset(tmp_path, 6, ("butt", "can"))
    matches = match(GroundTruth(made.annotations), [], "segm")
    assert (average_precision(matches) == 0).all()
    nothing_RI = np.zeros((2, 6), dtype=np.int64)
    assert np.isnan(average_precision(matches, nothing_RI)).all()
    assert np.isnan(mean_ap(average_precision(matches, nothing_RI))).all()


def test_chunks_do_not_change_replicates(tmp_path, monkeypatch):
    made = make_dataset(tmp_path, 12)
    records = predictions(made, 0.3, 5)[1]
    matches = match(GroundTruth(made.annotations), records, "segm")
    weights_RI = resample_weights(12, 50, np.random.default_rng(0))
    whole = average_precision(matches, weights_RI)
    monkeypatch.setattr("sweeps.bootstrap.CHUNK_ELEMENTS", 100)
    np.testing.assert_array_equal(average_precision(matches, weights_RI), whole)


def test_weights_draw_every_image_equally():
    weights_RI = resample_weights(50, 4000, np.random.default_rng(1))
    assert (weights_RI.sum(axis=1) == 50).all()
    np.testing.assert_allclose(weights_RI.mean(axis=0), 1, atol=0.06)


def test_bad_input_is_named(tmp_path):
    made = make_dataset(tmp_path, 6)
    truth = GroundTruth(made.annotations)
    with pytest.raises(ValueError, match="task='masks': use one of bbox, segm"):
        match(truth, [], "masks")
    stranger = [{"image_id": 999, "category_id": 5, "score": 1.0, "bbox": [0, 0, 1, 1]}]
    with pytest.raises(ValueError, match=r"\[999\].*another data set"):
        match(truth, stranger, "bbox")
    with pytest.raises(ValueError, match=r"expected integers \[R, 6\]"):
        average_precision(match(truth, [], "bbox"), np.ones((1, 6)))
