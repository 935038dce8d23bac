import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import yaml

from yolactpp.frozen_run import begin_attempt, freeze_run, read_config
from yolactpp.run_dir import CorruptFileError, RunDir, find_runs, read_json


def config_in(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "dataset": {"name": "made", "root": "data/made", "generator": {"seed": 0}},
        "batch_size": {"total": 8},
        "loss": {"name": "bce"},
        "seed": 0,
        "outputs": str(folder / "outputs"),
        "data_root": "data",
        "sweep": {"name": "runs"},
        **changes,
    }


def test_a_run_is_frozen_once(tmp_path: Path) -> None:
    run = freeze_run(config_in(tmp_path), ["seed=0"])
    assert run.path.parent == tmp_path / "outputs" / "runs"
    assert run.path.name == f"bce-b8-s0-{read_json(run.run)['run_id']}"
    before = run.config.read_bytes()
    again = freeze_run(config_in(tmp_path), ["other=1"])
    assert again == run
    assert run.config.read_bytes() == before
    assert read_json(run.run)["overrides"] == ["seed=0"]
    assert {path.name for path in run.path.parent.iterdir()} == {run.path.name}


def test_places_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = read_config(freeze_run(config_in(tmp_path, outputs="outputs")))
    assert config["outputs"] == str(tmp_path / "outputs")
    fingerprint = config["dataset"]["fingerprint"]
    assert config["dataset"]["root"] == str(tmp_path / "data" / f"made-{fingerprint[:8]}")
    again = read_config(freeze_run({**config, "seed": 1}))
    assert again["dataset"]["root"] == config["dataset"]["root"]


def test_other_settings_are_another_run(tmp_path: Path) -> None:
    first = freeze_run(config_in(tmp_path))
    second = freeze_run(config_in(tmp_path, seed=1))
    third = freeze_run(config_in(tmp_path, dataset={**config_in(tmp_path)["dataset"], "root": "x"}))
    assert second != first == third
    assert len(find_runs(tmp_path)) == 2


def test_a_missing_annotation_file_is_named(tmp_path: Path) -> None:
    dataset = {"root": str(tmp_path), "train": {"annotations": "a.json"}, "generator": None}
    with pytest.raises(FileNotFoundError, match=r"a.json"):
        freeze_run(config_in(tmp_path, dataset=dataset))


def _freeze(folder: Path) -> None:
    freeze_run(config_in(folder))


def test_many_processes_freeze_one_run(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_freeze, args=(tmp_path,)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    (run,) = find_runs(tmp_path)
    assert yaml.safe_load(run.config.read_text())["seed"] == 0
    assert {path.name for path in run.path.parent.iterdir()} == {run.path.name}


def test_attempts_are_numbered(tmp_path: Path) -> None:
    run = freeze_run(config_in(tmp_path))
    assert [begin_attempt(run, "cpu") for _ in range(3)] == [1, 2, 3]
    attempts = read_json(run.run)["attempts"]
    assert [each["number"] for each in attempts] == [1, 2, 3]
    assert attempts[0]["device"] == "cpu"


def test_broken_configs_are_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"is no run"):
        read_config(run)
    run.config.write_text("- a\n- b\n")
    with pytest.raises(CorruptFileError, match=r"a mapping was expected"):
        read_config(run)
    run.config.write_text("a: [")
    with pytest.raises(CorruptFileError, match=r"config.yaml"):
        read_config(run)
