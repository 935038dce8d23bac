"""One run's stored predictions read under several protocols, without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.evaluation_data import golden_ap_files, made_up
from yolactpp.evaluation.coco import coco_metrics
from yolactpp.evaluation.inhouse import inhouse_metrics
from yolactpp.evaluation.protocols import EvaluationProtocol, as_read, evaluate_stored

ROOT = Path(__file__).parents[3]


def settings(name: str) -> dict:
    """A protocol's keys as its files hold them, sound's where it is silent."""
    chain = {"sound": ["sound"], "yolact": ["sound", "yolact"]}
    names = chain.get(name, ["sound", "yolact", name])
    merged: dict = {}
    for each in names:
        merged |= yaml.safe_load((ROOT / f"conf/protocol/{each}.yaml").read_text())
    return merged


def test_sound_is_coco(tmp_path: Path) -> None:
    files = made_up(tmp_path)
    assert evaluate_stored(*files, settings("sound")) == coco_metrics(*files)


def test_yolact_is_the_inhouse_evaluator(tmp_path: Path) -> None:
    files = golden_ap_files(tmp_path)
    assert evaluate_stored(*files, settings("yolact")) == inhouse_metrics(*files)


def test_survey_code_cuts_both_kinds_at_the_class_score(tmp_path: Path) -> None:
    annotations, bbox, segm = golden_ap_files(tmp_path)
    threshold = settings("survey_code")["score_threshold"]
    kept = [index for index, record in enumerate(bbox) if record["score"] > threshold]
    assert 0 < len(kept) < len(bbox)
    expected = inhouse_metrics(
        annotations, [bbox[index] for index in kept], [segm[index] for index in kept]
    )
    assert evaluate_stored(annotations, bbox, segm, settings("survey_code")) == expected


def test_integer_boxes_truncate_both_corners() -> None:
    record = {"bbox": [1.9, 2.5, 3.2, 4.4], "score": 1.0}
    boxes, _ = as_read([record], [], EvaluationProtocol(integer_boxes=True))
    assert boxes[0]["bbox"] == [1, 2, 4, 4]
    assert record["bbox"] == [1.9, 2.5, 3.2, 4.4]


def test_a_threshold_needs_the_class_score_of_masks(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path)
    for record in segm:
        del record["box_score"]
    with pytest.raises(ValueError, match="have no box_score"):
        evaluate_stored(annotations, bbox, segm, {"score_threshold": 0.15})


def test_an_unknown_evaluator_lists_the_good_ones(tmp_path: Path) -> None:
    files = made_up(tmp_path, images=2)
    with pytest.raises(ValueError, match="choose one of coco, inhouse"):
        evaluate_stored(*files, {"table_evaluator": "voc"})


def test_stored_predictions_are_read_without_torch(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path, images=3)
    stored = tmp_path / "stored.json"
    stored.write_text(json.dumps([bbox, segm]))
    code = (
        "import json, sys\n"
        "from yolactpp.evaluation.protocols import evaluate_stored\n"
        f"bbox, segm = json.load(open({str(stored)!r}))\n"
        "for evaluator in ('coco', 'inhouse'):\n"
        f"    evaluate_stored({str(annotations)!r}, bbox, segm, {{'table_evaluator': evaluator}})\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
