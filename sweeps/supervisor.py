"""The local pool's supervisor: takes jobs from a sweep's ledger and runs them on free slots.

Started by `sweeps submit` in a session of its own: `python -m sweeps.supervisor outputs/SWEEP`.
It may be killed at any time. Its jobs go on; the next supervisor waits for them and starts again
those that a reboot has ended.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sweeps.ledger import Attempt, Content, Ledger, note_event
from sweeps.pool import clean_environment, process_of
from sweeps.processes import ProcessMark
from sweeps.resources import Resources
from sweeps.slots import Slot, count_cpu_slots, find_gpus, take_slot
from sweeps.snapshot import job_environment
from yolactpp.run_dir import CorruptFileError, RunDir, State, read_json, read_jsonl, write_json

POLL_S = 0.5
GRACE_S = 30.0  # between asking a job to end and killing it
MAX_RESTARTS = 3  # of a job that ended without a word, as a reboot makes it


@dataclass
class RunningJob:
    """A job's processes, one a rank, in one process group."""

    attempt: Attempt
    ranks: list[subprocess.Popen[bytes]]
    slot: Slot
    log_files: list[IO[bytes]]
    ending_since: float | None = None
    codes: dict[int, int] = field(default_factory=dict)


class Supervisor:
    """Works off one sweep's local jobs, then returns.

    Args:
        sweep: the sweep's folder.
    """

    def __init__(self, sweep: Path) -> None:
        self.ledger = Ledger(sweep)
        self.gpus = find_gpus()
        self.running: dict[str, RunningJob] = {}

    def run(self) -> None:
        """Until no job waits or runs; returns at once where another supervisor is at work."""
        with (self.ledger.hidden / "pool.lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            while True:
                content = self.ledger.read()
                self._look_after_jobs(content)
                waiting, strays = self._sort(content)
                for attempt in waiting:
                    if not self._start(attempt, content):
                        break
                if not self.running and not waiting and not strays and self._nothing_came(lock):
                    return
                time.sleep(POLL_S)

    def _nothing_came(self, lock: IO[bytes]) -> bool:
        """Let go of the pool, unless a job was queued just now: who queues looks at its lock."""
        with self.ledger.locked():
            waiting, strays = self._sort(self.ledger.read())
            if waiting or strays:
                return False
            fcntl.flock(lock, fcntl.LOCK_UN)
            return True

    def _sort(self, content: Content) -> tuple[list[Attempt], list[Attempt]]:
        """Jobs to start, in order, and jobs of an earlier supervisor that still run."""
        waiting, strays = [], []
        for attempt in content.attempts:
            if attempt.executor != "local" or attempt.job in self.running:
                continue
            events = read_jsonl(self.ledger.jobs / f"{attempt.job}_events.jsonl")
            if any(each["event"] == "exit" for each in events):
                continue
            mark = process_of(self.ledger.jobs, attempt.job)
            if attempt.job in content.cancelled and (mark is None or not mark.is_alive()):
                self._note_exit(attempt.job, 143)
            elif mark is None:
                waiting.append(attempt)
            elif mark.is_alive():
                strays.append(attempt)
            elif self._may_start_again(attempt, events):
                waiting.append(attempt)
        return waiting, strays

    def _may_start_again(self, attempt: Attempt, events: list[dict]) -> bool:
        """What became of a job that ended unseen; only one that nothing explains starts again."""
        run = RunDir(self.ledger.folder / attempt.run)
        if run.is_finished():
            self._note_exit(attempt.job, 0)
            return False
        restarts = sum(each["event"] == "start" for each in events)
        if _state(run) == State.FAILED or restarts > MAX_RESTARTS:
            self._note_exit(attempt.job, 1)
            return False
        return True

    def _start(self, attempt: Attempt, content: Content) -> bool:
        """Start a job if a slot is free."""
        submission = content.submissions[attempt.submission]
        resources = Resources.from_json(submission.resources)
        slot = take_slot(resources, self.gpus)
        if slot is None:
            return False
        environment = self._environment(Path(submission.code), resources, slot)
        job = RunningJob(attempt, [], slot, [])
        for rank in range(resources.tasks_per_node):
            log = (self.ledger.jobs / f"{attempt.job}_{rank}_log.out").open("ab")
            job.log_files.append(log)
            job.ranks.append(
                subprocess.Popen(
                    [sys.executable, "-u", "-m", "sweeps.job", str(self._folder(attempt))],
                    env={**environment, **_rank_variables(rank, resources, attempt.job)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=slot.locks,
                    process_group=job.ranks[0].pid if job.ranks else 0,
                )
            )
        mark = ProcessMark.of(job.ranks[0].pid)
        write_json(self.ledger.jobs / f"{attempt.job}_process.json", mark.as_json())
        note_event(self.ledger.jobs, attempt.job, "start", node=mark.host, gpus=list(slot.gpus))
        slot.close()
        self.running[attempt.job] = job
        return True

    def _look_after_jobs(self, content: Content) -> None:
        for name, job in list(self.running.items()):
            for rank, process in enumerate(job.ranks):
                code = process.poll()
                if code is not None:
                    job.codes[rank] = 128 - code if code < 0 else code
            if len(job.codes) == len(job.ranks):
                self._note_exit(name, next((code for code in job.codes.values() if code), 0))
                for log in job.log_files:
                    log.close()
                del self.running[name]
            elif any(job.codes.values()) or name in content.cancelled:
                _end(job)

    def _note_exit(self, job: str, code: int) -> None:
        note_event(self.ledger.jobs, job, "exit", code=code, node=socket.gethostname())

    def _folder(self, attempt: Attempt) -> Path:
        return self.ledger.folder / attempt.run

    def _environment(self, code: Path, resources: Resources, slot: Slot) -> dict[str, str]:
        places = count_cpu_slots(resources) * resources.tasks_per_node
        threads = max(1, len(os.sched_getaffinity(0)) // places)
        return {
            "OMP_NUM_THREADS": str(threads),
            **clean_environment(),
            **job_environment(code),
            "CUDA_VISIBLE_DEVICES": ",".join(slot.gpus),
        }


def _rank_variables(rank: int, resources: Resources, job: str) -> dict[str, str]:
    """What torch.distributed wants to know where a run has several processes."""
    if resources.tasks_per_node == 1:
        return {}
    port = 20000 + int(job[1:], 16) % 20000
    size = str(resources.tasks_per_node)
    names = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": size}
    return {**names, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def _end(job: RunningJob) -> None:
    """Ask all ranks to end, and kill those that have not after the grace."""
    now = time.monotonic()
    if job.ending_since is None:
        job.ending_since = now
        number = signal.SIGTERM
    elif now - job.ending_since > GRACE_S:
        number = signal.SIGKILL
    else:
        return
    for process in job.ranks:
        if process.poll() is None:
            process.send_signal(number)


def _state(run: RunDir) -> str | None:
    try:
        return read_json(run.status).get("state")
    except CorruptFileError:
        return None


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1])).run()
