"""TIDE's error shares against its authors' program and on worked cases."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluation_data import made_up, rle, write_annotations
from yolactpp.evaluation.coco import coco_metrics, load_annotations
from yolactpp.evaluation.tide import CAUSES, tide_errors

SIDE = 100
ORACLE_NAMES = {
    "class": "Cls",
    "localisation": "Loc",
    "both": "Both",
    "duplicate": "Dupe",
    "background": "Bkg",
    "missed": "Miss",
}


def oracle(dataset: dict, records: list[dict], mode: str) -> dict[str, Any]:
    """tidecv's numbers as fractions."""
    tidecv = pytest.importorskip("tidecv")
    truth, found = tidecv.Data("truth"), tidecv.Data("found")
    key = {"bbox": "box", "segm": "mask"}[mode]
    field = {"bbox": "bbox", "segm": "segmentation"}[mode]
    for image in dataset["images"]:
        truth.add_image(image["id"], str(image["id"]))
    for each in dataset["annotations"]:
        truth.add_ground_truth(each["image_id"], each["category_id"], **{key: each[field]})
    for each in records:
        found.add_detection(
            each["image_id"], each["category_id"], each["score"], **{key: each[field]}
        )
    tide = tidecv.TIDE(mode={"bbox": tidecv.TIDE.BOX, "segm": tidecv.TIDE.MASK}[mode])
    run = tide.evaluate(truth, found)
    counts = {kind.short_name: number for kind, number in run.count_errors().items()}
    main = tide.get_main_errors()["found"]
    special = tide.get_special_errors()["found"]
    return {
        "AP50": run.ap / 100,
        "dAP": {name: main[short] / 100 for name, short in ORACLE_NAMES.items()},
        "counts": {name: counts[short] for name, short in ORACLE_NAMES.items()},
        "false_positives": special["FalsePos"] / 100,
        "false_negatives": special["FalseNeg"] / 100,
    }


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_the_authors_program_without_crowds(tmp_path: Path, seed: int) -> None:
    annotations, bbox, segm = made_up(tmp_path, images=25, seed=seed)
    content = json.loads(annotations.read_text())
    for each in content["annotations"]:
        each["iscrowd"] = 0
    annotations.write_text(json.dumps(content))
    dataset = load_annotations(annotations)
    errors = tide_errors(dataset, bbox, segm)
    for kind, records in (("bbox", bbox), ("segm", segm)):
        expected = oracle(dataset, records, kind)
        assert errors[kind]["counts"] == expected["counts"]
        assert errors[kind]["AP50"] == pytest.approx(expected["AP50"], abs=1e-12)
        for cause in CAUSES:
            assert errors[kind]["dAP"][cause] == pytest.approx(expected["dAP"][cause], abs=1e-12)
        for name in ("false_positives", "false_negatives"):
            assert errors[kind][f"dAP_{name}"] == pytest.approx(expected[name], abs=1e-12)
        assert sum(errors[kind]["counts"].values()) == sum(
            sum(of_size.values()) for of_size in errors[kind]["per_size"].values()
        )


def test_ap50_is_cocos_also_with_crowds(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path, images=25, seed=7)
    errors = tide_errors(load_annotations(annotations), bbox, segm)
    metrics = coco_metrics(annotations, bbox, segm)
    for kind in ("bbox", "segm"):
        assert errors[kind]["AP50"] == pytest.approx(metrics[kind]["AP50"], abs=1e-9)
        assert errors[kind]["per_class"].keys() == metrics[kind]["per_class"].keys()


def worked(folder: Path, found: list[tuple[int, tuple[int, int, int]]]) -> dict[str, Any]:
    """Errors where one object of class 1 lies at (10, 10) and one of class 2 at (60, 60), side 20.

    A detection is (class, (x, y, side)), the first scored best.
    """
    truth = [
        {
            "id": category,
            "image_id": 0,
            "category_id": category,
            "bbox": [x, y, 20, 20],
            "segmentation": rle(square(x, y, 20)),
            "area": 400,
            "iscrowd": 0,
        }
        for category, x, y in ((1, 10, 10), (2, 60, 60))
    ]
    names = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
    path = write_annotations(folder, [(0, SIDE, SIDE)], truth, names)
    records = [
        {
            "image_id": 0,
            "category_id": category,
            "bbox": [x, y, side, side],
            "segmentation": rle(square(x, y, side)),
            "score": 0.9 - 0.1 * n,
        }
        for n, (category, (x, y, side)) in enumerate(found)
    ]
    return tide_errors(load_annotations(path), records, records)["segm"]


def square(x: int, y: int, side: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[y : y + side, x : x + side] = True
    return mask


@pytest.mark.parametrize(
    ("cause", "extra", "gain"),
    [
        # Right class, IoU 0.25 (a quarter of the object): mending it finds class 2's object.
        ("localisation", (2, (60, 60, 10)), 0.5),
        # On class 2's object with class 1: mending it finds that object.
        ("class", (1, (60, 60, 20)), 0.5),
        ("duplicate", (1, (10, 10, 20)), 0.0),
        ("background", (1, (40, 5, 8)), 0.0),
        # Wrong class, IoU 0.25.
        ("both", (1, (60, 60, 10)), 0.0),
    ],
)
def test_each_cause_by_hand(tmp_path: Path, cause: str, extra: Any, gain: float) -> None:
    """One hit on class 1 and one mistake after it: AP50 is 1 for class 1 and 0 for class 2."""
    errors = worked(tmp_path, [(1, (10, 10, 20)), extra])
    assert errors["AP50"] == 0.5
    stands_for_object = cause in ("localisation", "class")
    expected = dict.fromkeys(CAUSES, 0) | {cause: 1, "missed": int(not stands_for_object)}
    assert errors["counts"] == expected
    assert errors["dAP"][cause] == pytest.approx(gain)


def test_no_detections_all_is_missed(tmp_path: Path) -> None:
    errors = worked(tmp_path, [])
    assert errors["counts"]["missed"] == 2
    assert errors["per_size"]["small"]["missed"] == 2
    assert errors["AP50"] == 0
