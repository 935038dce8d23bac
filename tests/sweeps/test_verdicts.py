"""Verdicts from made run folders: labels, baselines with the same settings, replicates."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from sweeps.__main__ import main
from sweeps.collect import collect
from sweeps.evidence import gather
from sweeps.table_build import build_tables
from sweeps.table_verdicts import add_verdicts
from sweeps.verdicts import COLUMNS, Verdict, arm_labels, batch_size_table, verdict_table
from tests.sweeps.made_runs import (
    hybrid,
    make_dataset,
    make_failed_run,
    make_run,
    make_study,
    single,
)
from yolactpp.evaluation.protocols import evaluate_stored


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    made, runs = make_study(folder, {"bce": 0.15, "mse_bce@0.5": 0.15, "dice": 1.2}, images=16)
    make_failed_run(folder / "sweep", made, single("tversky"), 0)
    return made, runs, collect(folder / "sweep", cache=False)


def test_evidence_agrees_with_the_stored_numbers(study):
    _, runs, frame = study
    evidence = gather(frame, replicates=40)
    assert evidence.problems == []
    assert set(evidence.replicates) == {str(run.path) for run in runs}
    assert set(evidence.images.values()) == {16}
    assert all(len(each) == 40 for each in evidence.replicates.values())


def test_predictions_that_are_not_the_results_are_named(study, tmp_path):
    made, _, _ = study
    run = make_run(tmp_path, made, single("bce"), 0, 0.2)
    evaluation = json.loads(run.evaluation.read_text())
    evaluation["metrics"]["segm"]["AP"] += 0.01
    run.evaluation.write_text(json.dumps(evaluation))
    other = make_run(tmp_path, made, single("mse"), 0, 0.2)
    other.segm_predictions.unlink()
    problems = gather(collect(tmp_path, cache=False), replicates=5).problems
    assert len(problems) == 2
    assert "evaluate the run again" in problems[0]
    assert "segm.json is missing" in problems[1]


def test_a_moved_data_set_is_named(tmp_path):
    run = make_run(tmp_path, make_dataset(tmp_path / "gone"), single("bce"), 0, 0.2)
    (tmp_path / "gone/val/coco_annotations.json").unlink()
    evidence = gather(collect(run.path, cache=False), replicates=5)
    assert evidence.replicates == {}
    assert "dataset.val.annotations" in evidence.problems[0]


def test_verdicts(study):
    _, _, frame = study
    table = verdict_table(frame, gather(frame, replicates=100)).set_index("label")
    assert list(table.columns) == [name for name in COLUMNS if name != "label"]
    assert list(table["mean"]) == sorted(table["mean"], reverse=True)
    assert table.loc["bce", "verdict"] == Verdict.BASELINE
    assert table.loc["dice", "verdict"] == Verdict.WORSE
    assert not table.loc["dice", "among_best"]
    assert table.loc["mse_bce α=0.5", "verdict"] == Verdict.UNDECIDED
    assert table.loc["mse_bce α=0.5", "baseline"] == "bce"
    assert table.loc["mse_bce α=0.5", "p_holm"] >= table.loc["mse_bce α=0.5", "p"]
    scores = 100 * frame[frame["loss"] == "bce"]["segm.AP"]
    assert table.loc["bce", "mean"] == pytest.approx(scores.mean())
    assert table.loc["bce", "std"] == pytest.approx(scores.std())
    assert (table["n"] == 3).all()


def test_without_predictions_seeds_alone_decide(study):
    _, _, frame = study
    table = verdict_table(frame).set_index("label")
    assert table.loc["dice", "verdict"] == Verdict.WORSE


def test_a_baseline_of_another_batch_size_is_none(study, tmp_path):
    made, _, _ = study
    for seed in range(2):
        make_run(tmp_path, made, single("bce"), seed, 0.2, batch=8)
        make_run(tmp_path, made, single("bce"), seed, 0.2, batch=16)
        make_run(tmp_path, made, single("mse"), seed, 0.2, batch=16)
        make_run(tmp_path, made, single("mse"), seed, 0.2, batch=2)
    table = verdict_table(collect(tmp_path, cache=False)).set_index("label")
    assert table.loc["mse, batch=16", "baseline"] == "bce, batch=16"
    assert table.loc["mse, batch=2", "verdict"] == Verdict.NO_BASELINE
    assert math.isnan(table.loc["mse, batch=2", "difference"])


def test_one_seed_and_copied_seeds_are_said(study, tmp_path):
    made, _, _ = study
    for seed in range(2):
        make_run(tmp_path, made, single("bce"), seed, 0.2)
    make_run(tmp_path, made, single("mse"), 0, 0.2)
    table = verdict_table(collect(tmp_path, cache=False)).set_index("label")
    assert table.loc["mse", "verdict"] == Verdict.ONE_SEED
    frame = collect(tmp_path, cache=False)
    copies = frame[frame["loss"] == "bce"].assign(**{"segm.AP": 0.5})
    others = copies.assign(loss="mse", setting="other")
    table = verdict_table(pd.concat([copies, others])).set_index("label")
    assert table.loc["mse", "verdict"] == Verdict.SAME_RUNS


def test_labels_tell_arms_apart(study, tmp_path):
    made, _, _ = study
    losses = [
        single("huber") | {"delta": 1.0},
        single("huber") | {"delta": 2.0},
        hybrid("mse", "bce", 0.5),
        hybrid("mse", "bce", 0.5, 2.0),
    ]
    for loss in losses:
        make_run(tmp_path, made, loss, 0, 0.2)
    frame = collect(tmp_path, cache=False)
    assert sorted(arm_labels(frame)) == [
        "huber delta=1",
        "huber delta=2",
        "mse_bce α=0.5",
        "mse_bce α=0.5 β=2",
    ]


def test_nothing_finished_gives_an_empty_table(study, tmp_path):
    made, _, frame = study
    make_failed_run(tmp_path, made, single("bce"), 0)
    assert verdict_table(collect(tmp_path, cache=False)).empty
    with pytest.raises(ValueError, match=r"metric='segm\.mAP'.*segm\.AP"):
        verdict_table(frame, metric="segm.mAP")


def test_replicates_are_the_same_each_time(study):
    _, _, frame = study
    first, second = gather(frame, replicates=20), gather(frame, replicates=20)
    for folder, replicates in first.replicates.items():
        np.testing.assert_array_equal(replicates, second.replicates[folder])


def test_batch_sizes_are_measured_against_eight(study, tmp_path):
    made, _, _ = study
    for seed in range(3):
        make_run(tmp_path, made, single("bce"), seed, 0.15, batch=8)
        make_run(tmp_path, made, single("bce"), seed, 1.5, batch=2)
    frame = collect(tmp_path, cache=False)
    evidence = gather(frame, "bbox", replicates=50)
    table = batch_size_table(frame, evidence, "bbox.AP").set_index("batch_size")
    assert table.loc[8, "verdict"] == Verdict.BASELINE
    assert table.loc[2, "verdict"] == Verdict.WORSE
    assert table.loc[2, "baseline"] == "bce, batch=8"


def test_two_runs_of_one_seed_count_once(study, tmp_path):
    made, _, _ = study
    for folder in ("first", "second"):
        make_run(tmp_path / folder, made, single("bce"), 0, 0.2)
    table = verdict_table(collect(tmp_path, cache=False))
    assert list(table["n"]) == [1]


def test_predictions_are_read_through_the_protocol(study, tmp_path):
    made, _, _ = study
    run = make_run(tmp_path, made, single("bce"), 0, 0.3)
    evaluation = json.loads(run.evaluation.read_text())
    boxes, masks = (
        json.loads(path.read_text()) for path in (run.bbox_predictions, run.segm_predictions)
    )
    protocol = {"score_threshold": 0.6, "integer_boxes": True}
    evaluation["protocol"] |= protocol
    evaluation["metrics"] = evaluate_stored(made.annotations, boxes, masks, protocol)
    before = collect(run.path, cache=False)["segm.AP"][0]
    run.evaluation.write_text(json.dumps(evaluation))
    frame = collect(run.path, cache=False)
    assert frame["segm.AP"][0] < before
    for task in ("bbox", "segm"):
        assert gather(frame, task, replicates=5).problems == []


def test_another_average_precision_has_no_image_interval(study, tmp_path):
    made, _, _ = study
    run = make_run(tmp_path, made, single("bce"), 0, 0.3)
    evaluation = json.loads(run.evaluation.read_text())
    run.evaluation.write_text(json.dumps(evaluation | {"evaluator": "inhouse"}))
    evidence = gather(collect(run.path, cache=False), replicates=5)
    assert evidence.problems == []
    assert "the inhouse one, not COCO's" in evidence.notes[0]
    assert evidence.replicates == {}


def test_tables_say_verdicts_in_every_format(study, capsys):
    _, runs, _ = study
    sweep = str(runs[0].path.parent)
    for form in ("terminal", "markdown", "csv", "html", "latex"):
        status = main(["tables", sweep, "--verdict", "--format", form, "--table", "table2"])
        said = " ".join(capsys.readouterr().out.split())
        assert status == 0
        assert "worse" in said
        assert "baseline" in said
    frame = collect(sweep, cache=False)
    (table,) = build_tables(frame, ["table2"])
    add_verdicts([table], frame, {"segm": gather(frame, replicates=20)})
    by_loss = {row.keys["loss"]: row for row in table.rows}
    assert by_loss["dice"].remarks["verdict"] == Verdict.WORSE
    assert by_loss["dice"].cells["mAP"].mark == ""
    assert by_loss["bce"].cells["mAP"].mark == "†"
    assert by_loss["dice"].remarks["difference [95 %]"].startswith("-")
