"""From frozen runs to jobs: snapshot the code, queue, note; all under the sweep's lock.

A run that is finished, or that any executor may still have, is never queued.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.executor import Executor, Order
from sweeps.ledger import Attempt, Content, Ledger, Submission
from sweeps.pool import LocalExecutor
from sweeps.resources import Resources
from sweeps.slurm import SlurmExecutor
from sweeps.snapshot import take_snapshot

MAX_REQUEUES = 50


@dataclass(frozen=True)
class Queued:
    """What a submission did: run folder -> job id."""

    jobs: dict[Path, str]


def executors() -> dict[str, Executor]:
    """All executors by name."""
    return {each.name: each for each in (SlurmExecutor(), LocalExecutor())}


def queue_runs(
    ledger: Ledger,
    executor: Executor,
    runs: Sequence[Path],
    resources: Resources,
    arguments: Sequence[str],
    max_requeues: int = MAX_REQUEUES,
) -> Queued:
    """Queue frozen runs as new attempts; the caller holds `ledger.locked()`.

    Every piece that the executor has taken is noted before the next one is handed over, so that a
    submission that breaks off knows what it has queued.
    """
    content = ledger.read()
    code = take_snapshot(ledger.hidden)
    number = max(content.submissions, default=0) + 1
    ledger.add_submission(
        Submission(
            number,
            resources.as_json(),
            str(code.absolute()),
            max_requeues,
            list(arguments),
            time.time(),
        )
    )
    order = Order(
        ledger.folder.name,
        [run.absolute() for run in runs],
        resources,
        ledger.hidden.absolute(),
        code.absolute(),
        max_requeues,
    )
    jobs: dict[Path, str] = {}
    for piece in executor.submit(order):
        ledger.add_attempts(_attempts(content, piece, executor.name, number))
        jobs |= piece
    executor.started(ledger.hidden.absolute())
    return Queued(jobs)


def _attempts(
    content: Content, piece: dict[Path, str], executor: str, submission: int
) -> list[Attempt]:
    latest = content.latest()
    return [
        Attempt(
            run=run.name,
            number=latest[run.name].number + 1 if run.name in latest else 1,
            job=job,
            executor=executor,
            submission=submission,
            time=time.time(),
        )
        for run, job in piece.items()
    ]
