"""The content of eval.json: schema, evaluators, what stands beyond mAP."""

import json
from pathlib import Path

import pytest

from tests.evaluation_data import made_up
from yolactpp.evaluation.coco import coco_metrics
from yolactpp.evaluation.eval_json import build_evaluation
from yolactpp.evaluation.inhouse import inhouse_metrics
from yolactpp.run_dir import RunDir, write_json


def build(files: tuple, **changes) -> dict:
    annotations, bbox, segm = files
    arguments = {
        "run_id": "0123abcd",
        "iteration": 300,
        "dataset_name": "ellipses",
        "split": "val",
        "fingerprint": "f00d",
        "annotations_file": annotations,
        "bbox_records": bbox,
        "segm_records": segm,
        "protocol": {"name": "sound", "score_threshold": 0.0},
    }
    return build_evaluation(**(arguments | changes))


def test_schema(tmp_path: Path) -> None:
    files = made_up(tmp_path)
    evaluation = build(files, speed={"fps": 12.5})
    assert evaluation["schema_version"] == 1
    assert evaluation["dataset"] == {
        "name": "ellipses",
        "split": "val",
        "images": 12,
        "annotations": len(json.loads(files[0].read_text())["annotations"]),
        "fingerprint": "f00d",
    }
    assert evaluation["protocol"] == {
        "name": "sound",
        "score_threshold": 0.0,
        "max_detections": 100,
    }
    assert evaluation["metrics"] == coco_metrics(*files)
    assert set(evaluation["metrics"]["segm"]) == {
        "AP",
        *(f"AP{percent}" for percent in range(50, 100, 5)),
        *("AP_small", "AP_medium", "AP_large", "AR1", "AR10", "AR100", "per_class"),
    }
    assert {"boundary", "tide", "calibration"} <= evaluation.keys()
    assert evaluation["speed"]["fps"] == 12.5


def test_a_run_folder_takes_it_and_gives_it_back(tmp_path: Path) -> None:
    evaluation = build(made_up(tmp_path))
    run = RunDir(tmp_path / "run")
    write_json(run.evaluation, evaluation)
    assert run.read_evaluation() == evaluation
    assert run.is_finished()


def test_two_evaluators(tmp_path: Path) -> None:
    files = made_up(tmp_path)
    evaluation = build(files, evaluators=["coco", "inhouse"], beyond=False)
    assert evaluation["evaluator"] == "coco"
    assert evaluation["metrics_inhouse"]["segm"]["AP"] != evaluation["metrics"]["segm"]["AP"]
    alone = build(files, evaluators=["inhouse"], beyond=False)
    assert alone["metrics"] == evaluation["metrics_inhouse"]
    assert alone["metrics"] == inhouse_metrics(*files, min_box_side=0, keep_empty_images=True)
    assert "tide" not in alone


def test_the_score_threshold_acts_on_everything(tmp_path: Path) -> None:
    annotations, bbox, segm = made_up(tmp_path)
    cut = build((annotations, bbox, segm), protocol={"score_threshold": 0.5})
    kept = [index for index, record in enumerate(bbox) if record["score"] > 0.5]
    by_hand = build((annotations, [bbox[index] for index in kept], [segm[index] for index in kept]))
    for key in ("metrics", "boundary", "tide", "calibration"):
        assert cut[key] == by_hand[key]


def test_no_evaluator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one of coco, inhouse"):
        build(made_up(tmp_path, images=2), evaluators=[])
