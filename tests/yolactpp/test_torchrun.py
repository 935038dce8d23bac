"""Several processes started by torchrun itself, on a CPU: to the end, and with one that fails."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.yolactpp.tiny_run import TINY, environment, tiny_config
from yolactpp.build import provide_dataset
from yolactpp.engine.rank_failure import forget_failure, leave_failure, left_failure
from yolactpp.frozen_run import read_config
from yolactpp.run_dir import RunDir, find_runs, read_json

FEW = ("schedule.iterations=2", "schedule.warmup_iterations=0", "model.network.channels=16")


def torchrun(folder: Path) -> tuple[int, str]:
    """Exit status and output of two processes that train the tiny run."""
    result = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node=2", "-m", "yolactpp.train", *TINY, *FEW),
        ],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return result.returncode, result.stdout


@pytest.mark.slow
def test_two_ranks_finish_one_run(tmp_path: Path) -> None:
    status, said = torchrun(tmp_path)
    assert status == 0, said
    (run,) = find_runs(tmp_path / "outputs")
    assert run.is_finished()
    written = read_json(run.status)
    assert (written["state"], written["iteration"]) == ("finished", 2)
    assert [attempt["number"] for attempt in read_json(run.run)["attempts"]] == [1]
    assert read_json(run.evaluation)["dataset"]["images"] == 4


@pytest.mark.slow
def test_the_status_holds_the_error_of_the_rank_that_died(tmp_path: Path) -> None:
    config = provide_dataset(tiny_config(tmp_path))
    # Images are dealt out in turn, so that the second one is rank 1's; a cut file passes the
    # check of the data set, which does not decode.
    images = Path(config["dataset"]["root"]) / "val" / "images"
    second = sorted(images.iterdir())[1]
    second.write_bytes(second.read_bytes()[:-200])
    status, said = torchrun(tmp_path)
    assert status != 0
    (run,) = find_runs(tmp_path / "outputs")
    assert read_config(run)["dataset"]["root"] == config["dataset"]["root"]
    written = read_json(run.status)
    assert (written["state"], written["reason"]) == ("failed", "error")
    assert re.match(rf"rank 1: BadInputError: .*{second.name}: cut off", written["message"]), said
    assert f"error: {second}: cut off" in said


def test_the_first_rank_to_fail_is_the_cause(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert left_failure(run) is None
    leave_failure(run, 2, "oom", "OutOfMemoryError: 8 GiB")
    leave_failure(run, 1, "error", "RuntimeError: connection closed")
    assert left_failure(run) == ("oom", "rank 2: OutOfMemoryError: 8 GiB")
    forget_failure(run)
    forget_failure(run)
    assert left_failure(run) is None
