"""`python -m sweeps logs RUN`: what a run's jobs have written, attempt by attempt."""

from __future__ import annotations

import argparse
from collections import deque
from pathlib import Path

from sweeps.ledger import Attempt, Ledger
from yolactpp.run_dir import RunDir, find_runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.description = __doc__
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--attempt", type=int, help="only this one; the last unless it is given")
    parser.add_argument("--all", action="store_true", help="all attempts")
    parser.add_argument("--lines", type=int, default=50, help="of each log's end; 0 for all")


def run(args: argparse.Namespace) -> int:
    """Print the logs; 1 when there are none."""
    folder = RunDir(args.run.absolute())
    if not folder.config.exists():
        names = ", ".join(run.path.name for run in find_runs(args.run)[:10])
        raise ValueError(f"{args.run} is no run. Runs there: {names or 'none'}")
    attempts = chosen_attempts(folder, args.attempt, every=args.all)
    shown = 0
    for attempt in attempts:
        for path in Ledger(folder.path.parent).logs(attempt.job):
            print(f"==> attempt {attempt.number}, {attempt.executor} job {attempt.job}: {path}")
            print(tail(path, args.lines), end="")
            shown += 1
    if not shown and folder.log.exists():
        print(f"==> {folder.log}")
        print(tail(folder.log, args.lines), end="")
        shown += 1
    if not shown:
        print("no log yet")
    return 0 if shown else 1


def chosen_attempts(run: RunDir, number: int | None, *, every: bool) -> list[Attempt]:
    """The attempts asked for, oldest first.

    Raises:
        ValueError: there is no such attempt.
    """
    attempts = [
        attempt
        for attempt in Ledger(run.path.parent).read().attempts
        if attempt.run == run.path.name
    ]
    if every:
        return attempts
    if number is None:
        return attempts[-1:]
    chosen = [attempt for attempt in attempts if attempt.number == number]
    if not chosen:
        numbers = ", ".join(str(attempt.number) for attempt in attempts)
        raise ValueError(f"--attempt {number}: there are {numbers or 'none'}")
    return chosen


def tail(path: Path, lines: int) -> str:
    """The last lines of a file; all of them for 0."""
    with path.open(encoding="utf-8", errors="replace") as file:
        kept = deque(file, maxlen=lines or None)
    text = "".join(kept)
    return text if text.endswith("\n") or not text else text + "\n"
