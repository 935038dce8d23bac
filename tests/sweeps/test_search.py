"""The search: a study that workers share, pruning, orphans; training is a formula here."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

import yolactpp.train
from sweeps.processes import ProcessMark
from sweeps.search import Search, describe, open_study, work
from yolactpp.frozen_run import read_config
from yolactpp.run_dir import RunDir, read_json, write_json


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace training: AP is highest at alpha = 1, known before the end; who was trained."""
    names: list[str] = []

    def train_run(folder: Path, on_validation: Callable[[int, dict], None]) -> float:
        run = RunDir(folder)
        names.append(run.path.name)
        ap = math.exp(-(math.log(read_config(run)["loss"]["alpha"]) ** 2))
        metrics = {"segm": {"AP": ap}, "bbox": {"AP": ap}}
        on_validation(10, metrics)
        write_json(run.evaluation, {"schema_version": 1, "metrics": metrics})
        return ap

    monkeypatch.setattr(yolactpp.train, "train_run", train_run)
    return names


def overrides(tmp_path: Path, trials: int, **more: Any) -> list[str]:
    settings = {"trials": trials, "prune_after": "null", **more}
    listed = [f"sweep.search.{key}={value}" for key, value in settings.items()]
    return ["+sweep=search_alpha_beta", f"outputs={tmp_path}", *listed]


def test_workers_share_a_study_that_outlives_them(tmp_path: Path, trained: list[str]) -> None:
    work(overrides(tmp_path, 3))
    study = work(overrides(tmp_path, 5))
    assert len(study.trials) == len(trained) == 5
    assert study.best_value == max(trial.value for trial in study.trials)
    assert f"in {study.best_trial.user_attrs['run']}" in describe(study)
    assert (tmp_path / "search_alpha_beta" / study.best_trial.user_attrs["run"]).is_dir()


@pytest.mark.slow
def test_trials_that_fall_behind_are_pruned(tmp_path: Path, trained: list[str]) -> None:
    study = work(overrides(tmp_path, 8, prune_after=2))
    pruned = study.get_trials(states=(optuna.trial.TrialState.PRUNED,))
    assert 0 < len(pruned) < 8
    folder = tmp_path / "search_alpha_beta" / pruned[0].user_attrs["run"]
    assert read_json(folder / "status.json")["reason"] == "pruned"
    assert folder.name in trained


def test_the_trial_of_a_dead_worker_is_tried_again(tmp_path: Path, trained: list[str]) -> None:
    search = Search("segm.AP", "maximize", 2, None, {"loss.alpha": {"low": 0.5, "high": 2.0}})
    study = open_study(tmp_path / "search_alpha_beta", search)
    study.enqueue_trial({"loss.alpha": 0.75, "loss.beta": 1.5})
    trial = study.ask()
    for key in ("loss.alpha", "loss.beta"):
        trial.suggest_float(key, 0.1, 10.0, log=True)
    gone = ProcessMark(1, "1", ProcessMark.of(1).host, "before the reboot")
    trial.set_user_attr("worker", gone.as_json())
    study = work(overrides(tmp_path, 1))
    assert [each.state.name for each in study.trials] == ["FAIL", "COMPLETE"]
    assert study.best_params == {"loss.alpha": 0.75, "loss.beta": 1.5}
    assert "a0.75" in trained[0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"direction": "up"}, "direction=up: maximize or minimize"),
        ({"parameters": {"loss.alpha": {"low": 1}}}, "low and high, or choices"),
    ],
)
def test_a_wrong_search_is_refused(changed: dict, message: str) -> None:
    good = {"metric": "segm.AP", "direction": "minimize", "trials": 1, "prune_after": None}
    with pytest.raises(ValueError, match=message):
        Search(**{**good, "parameters": {}, **changed})


def test_a_sweep_without_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no search section"):
        work(["+sweep=table1", f"outputs={tmp_path}"])
