"""COCO metrics against pycocotools by hand, both backends, golden numbers, edges."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.evaluation_data import golden_ap_files, made_up
from tests.golden import load_json
from yolactpp.evaluation.coco import coco_metrics, load_annotations

NINE = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR1", "AR10", "AR100")


def by_hand(annotations: Path, records: list[dict], kind: str, folder: Path) -> list[float | None]:
    """The first nine of pycocotools' numbers of a predictions file, -1 as None."""
    predictions = folder / f"{kind}.json"
    predictions.write_text(json.dumps(records))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(annotations)
        evaluation = COCOeval(truth, truth.loadRes(str(predictions)), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [None if value == -1 else float(value) for value in evaluation.stats[: len(NINE)]]


def assert_same(a: Any, b: Any, tolerance: float) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key], tolerance)
    elif a is None or b is None:
        assert a is b
    else:
        assert abs(a - b) <= tolerance


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_pycocotools_by_hand(tmp_path: Path, seed: int) -> None:
    annotations, bbox, segm = made_up(tmp_path, seed=seed)
    metrics = coco_metrics(annotations, bbox, segm)
    for kind, records in (("bbox", bbox), ("segm", segm)):
        expected = by_hand(annotations, records, kind, tmp_path)
        for name, value in zip(NINE, expected, strict=True):
            assert_same(metrics[kind][name], value, 1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_backends_agree(tmp_path: Path, seed: int) -> None:
    annotations, bbox, segm = made_up(tmp_path, seed=seed, images=20)
    slow = coco_metrics(annotations, bbox, segm)
    fast = coco_metrics(annotations, bbox, segm, backend="faster_coco_eval")
    assert_same(fast, slow, 1e-12)
    assert slow["segm"]["AP"] > 0.05


@pytest.mark.parametrize("backend", ["pycocotools", "faster_coco_eval"])
def test_golden_coco_numbers(tmp_path: Path, backend: Any) -> None:
    annotations, bbox, segm = golden_ap_files(tmp_path)
    exported = [n for n, record in enumerate(bbox) if record["bbox"][2] * record["bbox"][3] > 0]
    bbox, segm = [bbox[n] for n in exported], [segm[n] for n in exported]
    metrics = coco_metrics(annotations, bbox, segm, backend=backend)
    expected = load_json("ap_expected.json")
    assert len(bbox) == expected["num_exported"]
    for kind, golden in (("bbox", "box"), ("segm", "mask")):
        for name, value in zip(NINE, expected["coco_stats_12"][golden], strict=False):
            assert_same(metrics[kind][name], None if value == -1 else value, 1e-6)


@pytest.mark.parametrize("backend", ["pycocotools", "faster_coco_eval"])
def test_no_predictions_at_all_is_zero(tmp_path: Path, backend: Any) -> None:
    annotations, _, _ = made_up(tmp_path)
    metrics = coco_metrics(annotations, [], [], backend=backend)
    assert metrics["segm"]["AP"] == 0
    assert metrics["bbox"]["AR100"] == 0


def test_perfect_predictions_are_one(tmp_path: Path) -> None:
    annotations, _, _ = made_up(tmp_path)
    truth = [a for a in load_annotations(annotations)["annotations"] if not a["iscrowd"]]
    bbox = [{k: a[k] for k in ("image_id", "category_id", "bbox")} | {"score": 1} for a in truth]
    segm = [
        {k: a[k] for k in ("image_id", "category_id", "segmentation")} | {"score": 1} for a in truth
    ]
    metrics = coco_metrics(annotations, bbox, segm)
    assert metrics["bbox"]["AP"] == metrics["segm"]["AP95"] == 1
    assert set(metrics["segm"]["per_class"]) == {"class 3", "class 7", "class 12"}


def test_records_and_phantom_categories_are_left_alone(tmp_path: Path) -> None:
    """A category the annotation file does not know changes nothing and raises nothing."""
    annotations, bbox, segm = made_up(tmp_path)
    before = json.dumps([bbox, segm])
    plain = coco_metrics(annotations, bbox, segm)
    assert json.dumps([bbox, segm]) == before
    phantoms = [{**record, "category_id": 99} for record in segm[:5]]
    for backend in ("pycocotools", "faster_coco_eval"):
        assert_same(coco_metrics(annotations, bbox, segm + phantoms, backend), plain, 1e-12)


def test_missing_area_and_iscrowd_are_filled_in(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path)
    content = json.loads(annotations.read_text())
    content["annotations"] = [a for a in content["annotations"] if not a["iscrowd"]]
    annotations.write_text(json.dumps(content))
    expected = coco_metrics(annotations, bbox, segm)
    for annotation in content["annotations"]:
        del annotation["area"], annotation["iscrowd"]
    annotations.write_text(json.dumps(content))
    assert_same(coco_metrics(annotations, bbox, segm), expected, 0)


def test_an_annotation_with_id_0_counts_as_pycocotools_counts_it(tmp_path: Path) -> None:
    """pycocotools marks what is unmatched by a 0; its figures are the reference all the same."""
    annotations, bbox, segm = made_up(tmp_path)
    content = json.loads(annotations.read_text())
    for number, annotation in enumerate(content["annotations"]):
        annotation["id"] = number
    annotations.write_text(json.dumps(content))
    expected = by_hand(annotations, segm, "segm", tmp_path)
    metrics = coco_metrics(annotations, bbox, segm)["segm"]
    assert metrics["AP"] == pytest.approx(expected[0], abs=1e-12)
    with pytest.warns(UserWarning, match="annotation id 0"):
        fast = coco_metrics(annotations, bbox, segm, backend="faster_coco_eval")["segm"]
    assert_same(fast, metrics, 1e-12)


def test_predictions_of_another_data_set_are_refused(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path)
    with pytest.raises(ValueError, match=r"1 images .* \(4711\)"):
        coco_metrics(annotations, [{**bbox[0], "image_id": 4711}], segm)


def test_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path, images=2)
    with pytest.raises(ValueError, match="choose one of pycocotools, faster_coco_eval"):
        coco_metrics(annotations, bbox, segm, backend="cocoapi")  # type: ignore[arg-type]
