"""The original's average precision: golden numbers, and each of the six differences to COCO."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation_data import golden_ap_files, made_up, rle, write_annotations
from tests.golden import load_json
from yolactpp.evaluation.average_precision import average_precision
from yolactpp.evaluation.coco import coco_metrics, load_annotations
from yolactpp.evaluation.inhouse import inhouse_metrics, inhouse_tallies
from yolactpp.evaluation.instances import load_instances

GOLDEN_KINDS = (("bbox", "box"), ("segm", "mask"))
SIDE = 100


def square(x: int, y: int, side: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[y : y + side, x : x + side] = True
    return mask


def annotation(image: int, category: int, mask: np.ndarray, crowd: int = 0) -> dict:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    return {
        "image_id": image,
        "category_id": category,
        "bbox": [int(value) for value in box],
        "segmentation": rle(mask),
        "area": int(mask.sum()),
        "iscrowd": crowd,
    }


def both(folder: Path, truth: list[dict], found: list[dict], images: int) -> tuple[float, float]:
    """Mask AP50 by the in-house evaluator and by COCO's."""
    path = write_annotations(
        folder,
        [(image, SIDE, SIDE) for image in range(images)],
        [{**each, "id": number + 1} for number, each in enumerate(truth)],
        [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}],
    )
    bbox = [{**each, "score": 0.9 - 0.01 * n} for n, each in enumerate(found)]
    inhouse = inhouse_metrics(path, bbox, bbox)["segm"]["AP50"]
    return inhouse, coco_metrics(path, bbox, bbox)["segm"]["AP50"]


def test_golden_inhouse_table(tmp_path: Path) -> None:
    metrics = inhouse_metrics(*golden_ap_files(tmp_path))
    expected = load_json("ap_expected.json")["inhouse_maps_percent"]
    for kind, golden in GOLDEN_KINDS:
        for name, percent in expected[golden].items():
            key = "AP" if name == "all" else f"AP{name}"
            assert abs(100 * metrics[kind][key] - percent) <= 0.006, (kind, name)


def test_golden_inhouse_classes_and_counts(tmp_path: Path) -> None:
    annotations, bbox, segm = golden_ap_files(tmp_path)
    images = load_instances(load_annotations(annotations), bbox, segm)
    tallies = inhouse_tallies(images, min_box_side=4 / 550, keep_empty_images=False)
    expected = load_json("ap_expected.json")
    for kind, golden in GOLDEN_KINDS:
        aps = expected["inhouse_ap_per_iou_per_class"][golden]
        counts = expected["inhouse_counts_npoints_ngt_ntp"][golden]
        for threshold, (ap_row, count_row) in enumerate(zip(aps, counts, strict=True)):
            for label, (ap, count) in enumerate(zip(ap_row, count_row, strict=True)):
                tally = tallies[kind].get(label + 1)
                if tally is None:
                    assert ap is None
                    continue
                assert abs(tally.average_precisions()[threshold] - ap) <= 1e-9
                found = [tally.num_detections, tally.num_truth, tally.num_hits()[threshold]]
                assert found == count


def test_golden_ap_curves() -> None:
    for case in load_json("ap_curve_cases.json"):
        value = average_precision(case["scores"], case["is_tp"], case["num_gt"])
        assert abs(value - case["ap"]) <= 1e-9


def test_average_precision_by_hand() -> None:
    """Hit, miss, hit of 2: recall 0.5 at precision 1, recall 1 at 2/3: (51 + 50 * 2/3) / 101."""
    scores, hits = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    assert average_precision(scores, hits, 2) == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert average_precision(scores, hits, 0) == 0
    assert average_precision(scores[:0], hits[:0], 3) == 0


def test_1_images_without_detections_do_not_count(tmp_path: Path) -> None:
    truth = [annotation(0, 1, square(10, 10, 30)), annotation(1, 1, square(10, 10, 30))]
    inhouse, coco = both(tmp_path, truth, [annotation(0, 1, square(10, 10, 30))], images=2)
    assert inhouse == 1
    assert coco == pytest.approx(51 / 101)


def test_2_a_class_with_detections_but_no_object_is_zero(tmp_path: Path) -> None:
    truth = [annotation(0, 1, square(10, 10, 30))]
    found = [annotation(0, 1, square(10, 10, 30)), annotation(0, 2, square(60, 60, 20))]
    assert both(tmp_path, truth, found, images=1) == pytest.approx((0.5, 1))


def test_3_detections_on_crowds_are_false(tmp_path: Path) -> None:
    truth = [annotation(0, 1, square(10, 10, 30)), annotation(0, 1, square(50, 50, 40), crowd=1)]
    found = [annotation(0, 1, square(55, 55, 20)), annotation(0, 1, square(10, 10, 30))]
    assert both(tmp_path, truth, found, images=1) == pytest.approx((0.5, 1))


def test_4_tiny_objects_are_dropped(tmp_path: Path) -> None:
    truth = [annotation(0, 1, square(10, 10, 30))]
    speck = annotation(0, 1, square(80, 80, 1))
    speck["bbox"] = [80, 80, 0.5, 1]
    found = [annotation(0, 1, square(10, 10, 30))]
    inhouse, coco = both(tmp_path, [*truth, speck], found, images=1)
    assert inhouse == 1
    assert coco == pytest.approx(51 / 101)


def test_5_images_without_annotations_are_not_evaluated(tmp_path: Path) -> None:
    truth = [annotation(0, 1, square(10, 10, 30))]
    found = [annotation(1, 1, square(5, 5, 9)), annotation(0, 1, square(10, 10, 30))]
    assert both(tmp_path, truth, found, images=2) == pytest.approx((1, 0.5))


def test_6_an_overlap_equal_to_the_threshold_is_not_enough(tmp_path: Path) -> None:
    half = square(10, 10, 30)
    half[:, 25:] = False
    truth = [annotation(0, 1, square(10, 10, 30))]
    assert both(tmp_path, truth, [annotation(0, 1, half)], images=1) == pytest.approx((0, 1))


def test_keys_are_those_of_coco(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path)
    inhouse, coco = inhouse_metrics(annotations, bbox, segm), coco_metrics(annotations, bbox, segm)
    for kind in ("bbox", "segm"):
        assert inhouse[kind].keys() == coco[kind].keys()
        assert inhouse[kind]["per_class"].keys() == coco[kind]["per_class"].keys()


def test_records_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path)
    with pytest.raises(ValueError, match="box records but"):
        inhouse_metrics(annotations, bbox[1:], segm)
    swapped = copy.deepcopy(segm)
    swapped[0]["image_id"] = -5
    with pytest.raises(ValueError, match="record 0: the box is of image 0"):
        inhouse_metrics(annotations, bbox, swapped)


def test_polygons_are_understood(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path, images=3)
    content = json.loads(annotations.read_text())
    content["annotations"][0]["segmentation"] = [[10, 10, 40, 10, 40, 40, 10, 40]]
    annotations.write_text(json.dumps(content))
    assert 0 <= inhouse_metrics(annotations, bbox, segm)["segm"]["AP"] <= 1
