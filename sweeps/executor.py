"""What the sweep system asks of whoever runs jobs: SLURM, the local pool, a test's fake."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from sweeps.resources import Resources


class Life(StrEnum):
    """What an executor knows of a job."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"  # the executor cannot be asked: the job may be alive


@dataclass(frozen=True)
class JobView:
    """A job as its executor sees it.

    Args:
        life: whether it may still do something.
        word: the executor's own word, such as COMPLETED, TIMEOUT, OUT_OF_MEMORY, NODE_FAIL.
        node: where it runs or ran.
        exit_code: of the job as a whole, 128 + n for signal n; None where it is not known.
    """

    life: Life
    word: str = ""
    node: str = ""
    exit_code: int | None = None


@dataclass(frozen=True)
class Order:
    """Runs to queue together.

    Args:
        name: of the sweep, for the queue's listing.
        runs: their folders.
        resources: of each.
        hidden: the sweep's hidden folder.
        code: the source snapshot that the jobs import.
        max_requeues: limit on requeues after preemptions, for each run.
    """

    name: str
    runs: Sequence[Path]
    resources: Resources
    hidden: Path
    code: Path
    max_requeues: int


class Executor(Protocol):
    """Queues runs, tells what became of them, ends them."""

    name: str

    def submit(self, order: Order) -> Iterable[dict[Path, str]]:
        """Queue all runs; yields run -> job id as soon as some are queued."""

    def started(self, hidden: Path) -> None:
        """Called under the sweep's lock once the ledger knows of all jobs."""

    def views(self, jobs: Sequence[str], hidden: Path) -> dict[str, JobView]:
        """What is known of these jobs; changes nothing."""

    def cancel(self, jobs: Sequence[str], hidden: Path) -> None:
        """End these jobs, and only these."""
