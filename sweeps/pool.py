"""The local executor: a queue on disk, worked off by a pool that outlives the submitting shell.

The queue is the sweep's ledger. One supervisor process a sweep (`sweeps.supervisor`) takes slots of
this machine and starts jobs; it ends when there is nothing left to do. After a reboot, or when it
was killed, the next `submit` or `retry` starts another one, which goes on where the queue stands.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

from sweeps.executor import JobView, Life, Order
from sweeps.ledger import note_event
from sweeps.processes import ProcessMark
from sweeps.slots import find_gpus
from sweeps.snapshot import job_environment
from yolactpp.run_dir import CorruptFileError, read_json, read_jsonl

FOREIGN = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_")
RANKS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class LocalExecutor:
    """Runs on this machine."""

    name = "local"

    def submit(self, order: Order) -> Iterable[dict[Path, str]]:
        """Give every run a job id; the ledger, which the caller writes, is the queue.

        Raises:
            ValueError: a run wants more GPUs than there are.
        """
        gpus = find_gpus()
        wanted = order.resources.gpus_per_node or 0
        if gpus and wanted > len(gpus):
            raise ValueError(f"gpus_per_node={wanted}: this machine has {len(gpus)}")
        yield {run: f"L{uuid.uuid4().hex[:10]}" for run in order.runs}

    def started(self, hidden: Path) -> None:
        """Start a supervisor unless one works already; the caller holds the sweep's lock."""
        if pool_is_running(hidden):
            return
        newest = max((hidden / "code").iterdir(), key=lambda code: code.stat().st_mtime)
        with (hidden / "pool.log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-u", "-m", "sweeps.supervisor", str(hidden.parent.absolute())],
                env={**clean_environment(), **job_environment(newest)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def views(self, jobs: Sequence[str], hidden: Path) -> dict[str, JobView]:
        """What the jobs' processes and notes say."""
        waiting = "PENDING" if pool_is_running(hidden) else "pool is not running"
        return {job: local_view(hidden / "jobs", job, waiting) for job in jobs}

    def cancel(self, jobs: Sequence[str], hidden: Path) -> None:
        """Ask running jobs to end, after a checkpoint; waiting ones never start."""
        for job in jobs:
            mark = process_of(hidden / "jobs", job)
            if mark is not None:
                mark.end()
            elif local_view(hidden / "jobs", job, "").life is Life.PENDING:
                note_event(hidden / "jobs", job, "exit", code=143, node="")


def local_view(jobs: Path, job: str, waiting: str) -> JobView:
    """One job of the pool."""
    events = read_jsonl(jobs / f"{job}_events.jsonl")
    ends = [each for each in events if each["event"] in ("exit", "requeue")]
    mark = process_of(jobs, job)
    if ends and ends[-1]["event"] == "exit":
        code = ends[-1]["code"]
        return JobView(Life.ENDED, "COMPLETED" if code == 0 else "FAILED", ends[-1]["node"], code)
    if mark is None:
        return JobView(Life.PENDING, waiting)
    if not mark.is_here:
        return JobView(Life.UNKNOWN, f"runs on {mark.host}", mark.host)
    if mark.is_alive():
        return JobView(Life.RUNNING, "RUNNING", mark.host)
    return JobView(Life.PENDING, "RESTARTING" if waiting == "PENDING" else waiting)


def process_of(jobs: Path, job: str) -> ProcessMark | None:
    """The mark of the process that was last started for a job."""
    try:
        return ProcessMark.from_json(read_json(jobs / f"{job}_process.json"))
    except CorruptFileError:
        return None


def pool_is_running(hidden: Path) -> bool:
    """Whether a supervisor holds the sweep's pool."""
    if not (hidden / "pool.lock").exists():
        return False
    with (hidden / "pool.lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def clean_environment() -> dict[str, str]:
    """This process' environment without what a scheduler or a launcher of ranks put into it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN) and name not in RANKS
    }
