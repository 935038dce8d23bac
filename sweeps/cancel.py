"""`python -m sweeps cancel FOLDER [KEY=VALUE ...]`: take runs out of the queue or stop them.

A running one writes a checkpoint first. Nothing is deleted; `retry --only cancelled` goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.executor import Executor
from sweeps.filters import select
from sweeps.ledger import Ledger
from sweeps.queueing import executors
from sweeps.state import ALIVE, sweep_states


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.description = __doc__
    parser.add_argument("folder", type=Path, help="a sweep's folder, or a run's")
    parser.add_argument("filters", nargs="*", metavar="KEY=VALUE", help="e.g. loss=huber seed=1,2")
    parser.add_argument("--all", action="store_true", help="every run, where no filter is given")


def run(args: argparse.Namespace) -> int:
    """Cancel and say what was cancelled; 2 when it was not said which runs."""
    is_run = (args.folder / "config.yaml").exists()
    if not args.filters and not args.all and not is_run:
        print("say which runs: KEY=VALUE filters, a run's folder, or --all", file=sys.stderr)
        return 2
    names = cancel(args.folder, args.filters)
    for name in names:
        print(f"cancelled {name}")
    print(f"{len(names)} runs cancelled")
    return 0


def cancel(
    folder: Path, filters: Sequence[str] = (), known: Mapping[str, Executor] | None = None
) -> list[str]:
    """End the jobs of the chosen runs that may be alive; their names."""
    known = executors() if known is None else known
    states = select(sweep_states(folder, known), filters)
    alive = [state for state in states if state.standing in ALIVE and state.attempt is not None]
    for sweep in sorted({state.run.path.parent for state in alive}):
        ledger = Ledger(sweep)
        own = [state.attempt for state in alive if state.run.path.parent == sweep]
        with ledger.locked():
            ledger.add_cancellations([attempt.job for attempt in own if attempt])
            for name, executor in known.items():
                jobs = [attempt.job for attempt in own if attempt and attempt.executor == name]
                if jobs:
                    executor.cancel(jobs, ledger.hidden.absolute())
    return [state.run.path.name for state in alive]
