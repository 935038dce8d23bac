import errno
import os
import sys
from pathlib import Path

import pytest

from tests.yolactpp.tiny_run import TINY, finish, start
from yolactpp import cli
from yolactpp.engine.failures import (
    BadInputError,
    CheckpointError,
    NonFiniteError,
    RunStopped,
    reason_of,
)
from yolactpp.run_dir import find_runs
from yolactpp.train import train


def exit_of(
    arguments: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[int, str]:
    """Exit status and messages of the train command, run in this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv(cli.FULL_ERROR, "0")
    monkeypatch.setattr(sys, "argv", ["train", *TINY, *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.run(train, "train")
    code = stopped.value.code
    assert isinstance(code, int)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "pieces"),
    [
        (["schedule.iteratons=5"], ["schedule.iteratons", "Did you mean schedule.iterations?"]),
        (["los=bce"], ["there is no setting los", "Did you mean loss?"]),
        (["loss=bcee"], ["loss=bcee", "Did you mean loss=bce?", "mse_bce"]),
        (["losss=bce"], ["losss", "Did you mean loss?"]),
        (["schedule.lr=-1"], ["schedule.lr=-1"]),
        (["loss=huber", "loss.delta=-2"], ["delta=-2"]),
        (["seed=abc"], ["seed=abc: a whole number"]),
        (["precision=fp8"], ["choose one of fp32, bf16, fp16"]),
        (["+schedule.foo=1"], ["there is no setting schedule.foo"]),
        (["run=nowhere"], ["nowhere is no run"]),
        (["runtime.device=abacus"], ["runtime.device=abacus"]),
    ],
)
def test_bad_input_gives_one_message_and_status_2(
    arguments: list[str],
    pieces: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = exit_of(arguments, tmp_path, monkeypatch, capsys)
    assert code == 2, said
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    for piece in pieces:
        assert piece in said


def test_a_missing_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train", "dataset=cigarettes"])
    with pytest.raises(SystemExit) as stopped:
        cli.run(train, "train")
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "Immersive Limit" in said
    assert "dataset.root=FOLDER" in said
    assert find_runs(tmp_path) == []


def test_debug_shows_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train", "seed=abc", "runtime.debug=true"])
    with pytest.raises(BadInputError):
        cli.run(train, "train")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInputError("x"), 2),
        (CheckpointError("x"), 1),
        (NonFiniteError("mask", 3, {"mask": float("nan")}), 1),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 1),
        (RunStopped("interrupted", 5), 130),
        (RunStopped("preempted", 5), 143),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_exit_statuses(error: BaseException, status: int) -> None:
    assert cli.exit_status(error) == status


def test_messages_of_failures() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "metrics.jsonl")
    said = cli.describe(full, "train")
    assert "metrics.jsonl: No space left on device" in said
    assert "goes on from there" in said
    assert "checkpoint" not in cli.describe(full, "predict")
    assert "HYDRA_FULL_ERROR=1" in cli.describe(ZeroDivisionError("by zero"), "train")


def test_reasons() -> None:
    assert reason_of(NonFiniteError("mask", 1, {})) == "nan"
    assert reason_of(MemoryError()) == "oom"
    assert reason_of(ValueError()) == "error"


@pytest.mark.slow
def test_a_multirun_goes_on_after_a_failing_run(tmp_path: Path) -> None:
    status, said = finish(start(tmp_path, "loss=huber,mse", "-m", "schedule.iterations=2"))
    assert status == 0, said
    status, said = finish(
        start(tmp_path, "-m", "schedule.iterations=2", "loss=bce", "runtime.device=abacus,cpu")
    )
    assert status == 2, said
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    runs = find_runs(tmp_path / "outputs")
    assert sorted(run.path.name[:-9] for run in runs) == ["bce-b2-s0", "huber-b2-s0", "mse-b2-s0"]
    assert all(run.is_finished() for run in runs)
    stray = {path.name for path in (tmp_path / "outputs").iterdir()}
    assert stray == {"runs"}


@pytest.mark.slow
def test_a_multirun_through_the_submitit_plugin(tmp_path: Path) -> None:
    status, said = finish(
        start(
            tmp_path,
            "-m",
            "hydra/launcher=submitit_local",
            "hydra.launcher.timeout_min=5",
            "schedule.iterations=2",
            "seed=0,1",
        )
    )
    assert status == 0, said
    runs = find_runs(tmp_path / "outputs" / "runs")
    assert sorted(run.path.name[:-9] for run in runs) == ["bce-b2-s0", "bce-b2-s1"]
    assert all(run.is_finished() for run in runs)
