import csv
import io
import json
from pathlib import Path

import pytest

from sweeps.__main__ import main
from sweeps.collect import collect
from sweeps.readings import readings
from tests.sweeps.made_runs import MadeDataset, make_failed_run, make_study, single
from yolactpp.evaluation.coco import coco_metrics
from yolactpp.evaluation.inhouse import inhouse_metrics
from yolactpp.run_dir import RunDir


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[MadeDataset, list[RunDir]]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made, runs = make_study(tmp_path, {"bce": 0.3, "mse": 0.5}, seeds=2, images=12)
    for run in runs:
        for path in (run.bbox_predictions, run.segm_predictions):
            records = json.loads(path.read_text())
            for record in records[::3]:  # below the fork's threshold
                record |= {"score": 0.1, "box_score": 0.1}
            path.write_text(json.dumps(records))
    return made, runs


def test_sound_reads_with_cocos_rules(study: tuple[MadeDataset, list[RunDir]]) -> None:
    made, runs = study
    frame = collect(runs[0].path.parent)
    read = readings(frame, ["sound"])
    assert read.attrs["problems"] == []
    by_hand = coco_metrics(
        made.annotations,
        json.loads(runs[0].bbox_predictions.read_text()),
        json.loads(runs[0].segm_predictions.read_text()),
    )
    first = read[read["folder"] == str(runs[0].path)]
    assert first["segm.AP75"].item() == pytest.approx(by_hand["segm"]["AP75"], abs=1e-12)
    assert first["bbox.AP50"].item() == pytest.approx(by_hand["bbox"]["AP50"], abs=1e-12)


def test_the_forks_reading_cuts_scores_and_counts_its_own_way(
    study: tuple[MadeDataset, list[RunDir]],
) -> None:
    made, runs = study
    read = readings(collect(runs[0].path), ["survey_code"])
    boxes, masks = (
        [record for record in json.loads(path.read_text()) if record["score"] > 0.15]
        for path in (runs[0].bbox_predictions, runs[0].segm_predictions)
    )
    by_hand = inhouse_metrics(
        made.annotations, boxes, masks, min_box_side=4 / 550, keep_empty_images=False
    )
    assert read["segm.AP"].item() == pytest.approx(by_hand["segm"]["AP"])


def test_tables_show_both_readings_of_one_run(
    study: tuple[MadeDataset, list[RunDir]], capsys: pytest.CaptureFixture
) -> None:
    made, runs = study
    make_failed_run(runs[0].path.parent, made, single("huber"), 0)
    command = ["tables", str(runs[0].path.parent), "--format", "csv", "--table", "table2"]
    assert main([*command, "--protocol", "sound,survey_code"]) == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    of_bce = {row["read_as"]: float(row["mAP"]) for row in found if row["loss"] == "bce"}
    assert of_bce.keys() == {"sound", "survey_code"}
    assert of_bce["sound"] > of_bce["survey_code"] > 0
    assert {row["read_as"] for row in found if row["loss"] == "huber"} == of_bce.keys()


def test_missing_predictions_are_named_and_the_rest_is_shown(
    study: tuple[MadeDataset, list[RunDir]], capsys: pytest.CaptureFixture
) -> None:
    _, runs = study
    runs[0].segm_predictions.unlink()
    folder = str(runs[0].path.parent)
    assert main(["tables", folder, "--protocol", "sound"]) == 1
    assert "evaluate the run again" in capsys.readouterr().err


def test_an_unknown_protocol_lists_the_good_ones(
    study: tuple[MadeDataset, list[RunDir]], capsys: pytest.CaptureFixture
) -> None:
    _, runs = study
    assert main(["tables", str(runs[0].path), "--protocol", "sund"]) == 2
    assert "sound, yolact, survey_code" in capsys.readouterr().err
