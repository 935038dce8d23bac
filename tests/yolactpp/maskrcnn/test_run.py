"""Whole runs of the second family, through the same training, evaluation and loading."""

import math
from pathlib import Path

import pytest
import torch

import yolactpp
from sweeps.collect import collect
from sweeps.table_build import build_tables
from tests.yolactpp.tiny_run import tiny_config
from yolactpp.evaluate import evaluate_run
from yolactpp.frozen_run import freeze_run, read_config
from yolactpp.run_dir import RunDir, read_json, read_jsonl
from yolactpp.train import train_run

MODEL = ("model=maskrcnn_tiny", "model.backbone.width=8", "model.network.channels=16")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run of twelve steps, trained to its end; tests only look at it."""
    config = tiny_config(tmp_path_factory.mktemp("maskrcnn"), *MODEL, "loss=dice")
    run = freeze_run(config, ["model=maskrcnn_tiny"])
    assert train_run(run.path) is not None
    return run


def test_it_leaves_what_every_run_leaves(finished: RunDir) -> None:
    evaluation = read_json(finished.evaluation)
    assert {"forward", "detection", "masks"} <= evaluation["speed"]["stages_ms"].keys()
    steps = [record for record in read_jsonl(finished.metrics) if "lr" in record]
    assert len(steps) == 12
    for record in steps:
        parts = ("class", "box", "mask", "rpn_class", "rpn_box")
        assert record["total"] == pytest.approx(sum(record[part] for part in parts), rel=1e-5)
        assert record["mask"] == pytest.approx(record["mask/dice"])
    card = finished.model_card.read_text()
    assert "- Model: maskrcnn_tiny" in card
    assert "- Class loss: cross_entropy" in card


def test_it_resumes_to_the_same_weights(finished: RunDir, tmp_path: Path) -> None:
    """Stopped after step 5 and gone on with: bit for bit the run that was not stopped."""

    class Stop(Exception):
        pass

    def stop(iteration: int, _: dict) -> None:
        if iteration == 5:
            raise Stop

    config = {**read_config(finished), "outputs": str(tmp_path)}
    run = freeze_run(config)
    with pytest.raises(Stop):
        train_run(run.path, on_validation=stop)
    train_run(run.path)
    expected = torch.load(finished.last_checkpoint, weights_only=True)["model"]
    found = torch.load(run.last_checkpoint, weights_only=True)["model"]
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_it_is_evaluated_once_more_to_the_same_figures(finished: RunDir) -> None:
    again = evaluate_run(finished, read_config(finished), "last", "again")
    assert again["metrics"] == read_json(finished.evaluation)["metrics"]


def test_it_is_loaded_and_predicts(finished: RunDir) -> None:
    predictor = yolactpp.load(finished.path, "cpu", score_threshold=0.0)
    (found,) = predictor(torch.zeros(3, 50, 80, dtype=torch.uint8))
    assert found.masks_NHW.shape[1:] == (50, 80)


def test_both_families_stand_in_one_table(finished: RunDir, tmp_path: Path) -> None:
    other = freeze_run(tiny_config(tmp_path, "loss=dice", "model.backbone.width=8"))
    train_run(other.path)
    frame = collect([finished.path, other.path], cache=False)
    (table,) = build_tables(frame, ["table2"])
    assert [(row.keys["loss"], row.keys["model"], row.n) for row in table.rows] == [
        ("dice", "maskrcnn_tiny", 1),
        ("dice", "yolactpp_tiny", 1),
    ]


@pytest.mark.parametrize("score", [1, 2])
def test_soft_objectness_trains_yolactpp(score: int, tmp_path: Path) -> None:
    config = tiny_config(
        tmp_path,
        "class_loss=soft_objectness",
        f"class_loss.score={score}",
        "class_loss.loss=3",
        "model.backbone.width=8",
        "schedule.iterations=48",
        "schedule.validate_every=48",
    )
    run = freeze_run(config)
    train_run(run.path)
    values = [record["class"] for record in read_jsonl(run.metrics) if "lr" in record]
    assert all(math.isfinite(value) for value in values)
    assert sum(values[-16:]) < sum(values[:16])
