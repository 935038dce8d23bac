"""A real SLURM for tests: scripts/slurm_dev's, started where it is not up and can be."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeps.ledger import Ledger
from sweeps.queueing import executors, queue_runs
from sweeps.resources import Resources
from sweeps.slurm import SlurmExecutor
from sweeps.state import ALIVE, RunState, sweep_states
from tests.sweeps.fakes import wish
from tests.sweeps.hand_made import config_of, make_run

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "slurm_dev"
CPU = Resources(executor="slurm", cpus_per_task=1, timeout_min=30, signal_delay_s=10)
TINY = (
    "dataset.generator.train_images=8",
    "dataset.generator.val_images=4",
    "dataset.generator.image_size=64",
    "batch_size=4",
    "evaluation.beyond=false",
)


def cluster_for_tests() -> Iterator[None]:
    """Skip where there is no SLURM; leave one that was up as it was."""
    if shutil.which("sinfo") is None:
        pytest.skip("slurm-wlm is not installed: scripts/slurm_dev up")
    if run(str(SCRIPT), "status", check=False).returncode == 0:
        yield
        return
    if os.geteuid() != 0:
        pytest.skip("SLURM is down, and starting it needs root: scripts/slurm_dev up")
    run(str(SCRIPT), "up")
    yield
    run(str(SCRIPT), "down")


def run(*command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in the repository's root; its output is shown where it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def queue(sweep: Path, resources: Resources = CPU, **wishes: dict) -> dict[str, str]:
    """Make runs whose training obeys and queue them on SLURM; run name -> job."""
    for name, its_wishes in wishes.items():
        make_run(sweep / name, config_of())
        wish(sweep / name, **its_wishes)
    ledger = Ledger(sweep)
    with ledger.locked():
        queued = queue_runs(
            ledger, SlurmExecutor(), [sweep / name for name in wishes], resources, ["test"]
        )
    return {path.name: job for path, job in queued.jobs.items()}


def states(sweep: Path) -> dict[str, RunState]:
    return {state.run.path.name: state for state in sweep_states(sweep, executors())}


def settled(sweep: Path, seconds: float = 120) -> dict[str, RunState]:
    """The states once nothing can change any more."""
    eventually(lambda: not any(s.standing in ALIVE for s in states(sweep).values()), seconds)
    return states(sweep)


def eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.5)
