"""What was queued, when and as which job: one append-only file a sweep, written under a lock.

`outputs/SWEEP/.sweep/ledger.jsonl` holds submissions (resources, code), attempts (run, number, job)
and cancellations; `jobs/` beside it the logs of each job and the events that the job itself notes:
start, requeue, exit. Nothing here is ever rewritten or removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from yolactpp.run_dir import read_jsonl

HIDDEN = ".sweep"


@dataclass(frozen=True)
class Attempt:
    """One time that a run was queued.

    Args:
        run: name of the run's folder.
        number: from 1 on.
        job: the executor's id of it.
        executor: "slurm" or "local".
        submission: number of the submission it belongs to.
        time: Unix time in seconds.
    """

    run: str
    number: int
    job: str
    executor: str
    submission: int
    time: float


@dataclass(frozen=True)
class Submission:
    """What the attempts of one submission share."""

    number: int
    resources: dict[str, Any]
    code: str
    max_requeues: int
    arguments: list[str]
    time: float


@dataclass
class Content:
    """The ledger as read: everything in the order in which it happened."""

    submissions: dict[int, Submission] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)  # job ids

    def latest(self) -> dict[str, Attempt]:
        """The last attempt of each run that has one."""
        return {attempt.run: attempt for attempt in self.attempts}


class Ledger:
    """The ledger of one sweep.

    Args:
        folder: the sweep's folder, which holds its runs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.hidden = self.folder / HIDDEN
        self.path = self.hidden / "ledger.jsonl"
        self.jobs = self.hidden / "jobs"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the sweep: whoever queues or cancels does it alone. Freed by the kernel on death."""
        self.jobs.mkdir(parents=True, exist_ok=True)
        with (self.hidden / "lock").open("a") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            yield

    def read(self) -> Content:
        """All that stands in the ledger; an empty one where there is none."""
        content = Content()
        for line in read_jsonl(self.path):
            kind = line.pop("kind", None)
            if kind == "submission":
                content.submissions[line["number"]] = Submission(**line)
            elif kind == "attempt":
                content.attempts.append(Attempt(**line))
            elif kind == "cancel":
                content.cancelled.add(line["job"])
        return content

    def add_submission(self, submission: Submission) -> None:
        """Note what a submission is made with, before its first attempt."""
        self._append([{"kind": "submission", **asdict(submission)}])

    def add_attempts(self, attempts: list[Attempt]) -> None:
        """Note that runs have been queued, all in one write."""
        self._append([{"kind": "attempt", **asdict(attempt)} for attempt in attempts])

    def add_cancellations(self, jobs: list[str]) -> None:
        """Note that someone asked for these jobs to end."""
        self._append([{"kind": "cancel", "job": job, "time": time.time()} for job in jobs])

    def events(self, job: str) -> list[dict[str, Any]]:
        """What a job noted of itself: start, requeue, exit."""
        return read_jsonl(self.jobs / f"{job}_events.jsonl")

    def logs(self, job: str) -> list[Path]:
        """The log files of a job, one a task."""
        return sorted(self.jobs.glob(f"{job}_*_log.out"))

    def _append(self, lines: list[dict[str, Any]]) -> None:
        self.hidden.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())


def note_event(jobs: Path, job: str, event: str, **values: Any) -> None:
    """Append an event to a job's own file; called by the job or its pool."""
    line = json.dumps({"event": event, "time": time.time(), **values})
    with (jobs / f"{job}_events.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
