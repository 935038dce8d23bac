"""Training in processes of its own: killed, interrupted, preempted, started twice."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from tests.yolactpp.tiny_run import finish, start
from yolactpp.run_dir import RunDir, find_runs, read_json, read_jsonl

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """The run as it ends when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("whole")
    status, said = finish(start(folder))
    assert status == 0, said
    (run,) = find_runs(folder / "outputs")
    return run


def wait_for_iteration(folder: Path, iteration: int, process: subprocess.Popen) -> RunDir:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        for run in find_runs(folder / "outputs") if (folder / "outputs").exists() else []:
            if len(read_jsonl(run.metrics)) >= iteration:
                return run
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def assert_same_result(run: RunDir, whole: RunDir) -> None:
    expected = torch.load(whole.last_checkpoint, weights_only=True)
    found = torch.load(run.last_checkpoint, weights_only=True)
    for name, value in expected["model"].items():
        assert torch.equal(value, found["model"][name]), name
    kept = [
        [{k: v for k, v in record.items() if k != "images_per_second"} for record in records]
        for records in (read_jsonl(run.metrics), read_jsonl(whole.metrics))
    ]
    assert kept[0] == kept[1]
    assert run.segm_predictions.read_bytes() == whole.segm_predictions.read_bytes()
    assert run.path.name == whole.path.name


def test_sigkills_at_random_moments_change_no_bit(tmp_path: Path, whole: RunDir) -> None:
    moments = random.Random(time.time_ns())
    for least in (1, 5, 9):
        process = start(tmp_path)
        wait_for_iteration(tmp_path, least, process)
        time.sleep(moments.random() * 0.5)
        process.kill()
        process.communicate()
    status, said = finish(start(tmp_path))
    assert status == 0, said
    (run,) = find_runs(tmp_path / "outputs")
    assert_same_result(run, whole)


@pytest.mark.parametrize(
    ("number", "state", "status"),
    [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "preempted", 143)],
)
def test_a_signal_leaves_a_run_that_goes_on(
    tmp_path: Path, whole: RunDir, number: int, state: str, status: int
) -> None:
    process = start(tmp_path)
    run = wait_for_iteration(tmp_path, 2, process)
    os.kill(process.pid, number)
    code, said = finish(process)
    assert code == status, said
    assert "Traceback" not in said
    assert f"{state} after" in said
    written = read_json(run.status)
    assert (written["state"], written["reason"]) == (state, state)
    assert torch.load(run.last_checkpoint, weights_only=True)["iteration"] == written["iteration"]
    code, said = finish(start(tmp_path))
    assert code == 0, said
    assert "going on from iteration" in said
    assert_same_result(run, whole)


def test_two_processes_make_one_run(tmp_path: Path, whole: RunDir) -> None:
    processes = [start(tmp_path) for _ in range(2)]
    for process in processes:
        code, said = finish(process)
        assert code == 0, said
    (run,) = find_runs(tmp_path / "outputs")
    assert [attempt["number"] for attempt in read_json(run.run)["attempts"]] == [1]
    assert_same_result(run, whole)
