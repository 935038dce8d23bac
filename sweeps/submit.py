"""`python -m sweeps submit SWEEP [overrides]`: plan, freeze, queue what is new, return at once.

A run that is finished or queued is left out, one that failed too: `retry` queues those again.
`hydra/launcher=slurm_1gpu|slurm_4gpu|slurm_cpu|local` says where; resources such as nodes=2 or
partition=gpu may be given by their bare names.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.estimate import describe_cost
from sweeps.executor import Executor
from sweeps.ledger import Ledger
from sweeps.plan import Plan, PlannedRun, plan
from sweeps.queueing import MAX_REQUEUES, executors, queue_runs
from sweeps.state import ALIVE, BROKEN, RunState, Standing, states_of
from yolactpp.run_dir import RunDir

WAIT_POLL_S = 5.0
WRITERS = 8


@dataclass
class Outcome:
    """What a submission did, or would do.

    Args:
        new: runs that were, or would be, queued.
        left_out: the other runs, with why.
        jobs: run folder -> job id; empty in a dry run.
    """

    new: list[PlannedRun]
    left_out: dict[Path, RunState]
    jobs: dict[Path, str] = field(default_factory=dict)

    @property
    def broken(self) -> list[RunState]:
        """Left out because they failed before."""
        return [state for state in self.left_out.values() if state.standing in BROKEN]


def submit(
    planned: Plan,
    *,
    dry_run: bool = False,
    max_requeues: int = MAX_REQUEUES,
    known: Mapping[str, Executor] | None = None,
) -> Outcome:
    """Queue the planned runs that nobody has yet.

    Of several submitters of the same run one queues it and the others leave it out.

    Args:
        planned: from `sweeps.plan`.
        dry_run: only find out what would be done; writes nothing.
        max_requeues: how often a run may be preempted before it counts as failed.
        known: executors by name; SLURM and the local pool unless a test says otherwise.
    """
    known = executors() if known is None else known
    ledger = Ledger(planned.folder)
    if dry_run:
        return _sort(planned, ledger, known)
    with ledger.locked():
        outcome = _sort(planned, ledger, known)
        with ThreadPoolExecutor(WRITERS) as writers:  # the disk's confirmations take the time
            folders = [run.path for run in writers.map(PlannedRun.freeze, outcome.new)]
        executor = known[planned.resources.executor]
        if folders:
            queued = queue_runs(
                ledger, executor, folders, planned.resources, planned.arguments, max_requeues
            )
            outcome.jobs = queued.jobs
        elif any(state.standing is Standing.QUEUED for state in outcome.left_out.values()):
            known["local"].started(ledger.hidden.absolute())
    return outcome


def _sort(planned: Plan, ledger: Ledger, known: Mapping[str, Executor]) -> Outcome:
    existing = [RunDir(run.folder) for run in planned.runs if (run.folder / "config.yaml").exists()]
    states = {state.run.path: state for state in states_of(existing, ledger, known)}
    left_out = {
        path: state
        for path, state in states.items()
        if state.standing is not Standing.PLANNED
        and not (state.attempt is None and state.standing is Standing.INTERRUPTED)
    }
    return Outcome([run for run in planned.runs if run.folder not in left_out], left_out)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.description = __doc__
    parser.add_argument("sweep", help="an option of conf/sweep, such as table3; - for none")
    parser.add_argument("overrides", nargs="*", help="as for yolactpp.train -m")
    parser.add_argument("--dry-run", action="store_true", help="list what would be done")
    parser.add_argument("--wait", action="store_true", help="stay; 0 only if all runs finish")
    parser.add_argument(
        "--max-requeues", type=int, default=MAX_REQUEUES, help="after preemptions, a run"
    )


def run(args: argparse.Namespace) -> int:
    """Submit and say what was done."""
    if "=" in args.sweep:
        raise ValueError(f"{args.sweep} is an override: name a sweep first, or - for none")
    planned = plan(None if args.sweep == "-" else args.sweep, args.overrides)
    outcome = submit(planned, dry_run=args.dry_run, max_requeues=args.max_requeues)
    tell(planned, outcome, dry_run=args.dry_run)
    if args.dry_run or not args.wait:
        return 0
    return wait_for(planned)


def tell(planned: Plan, outcome: Outcome, *, dry_run: bool) -> None:
    """What was queued, what was left out and why, the cost, and where to look."""
    if dry_run:
        for planned_run in outcome.new:
            print(f"would queue {planned_run.folder}")
        for path, state in outcome.left_out.items():
            print(f"leaves out {path}: {state.standing}")
    verb = "to be queued" if dry_run else "queued"
    where = planned.resources.executor
    print(f"{len(outcome.new)} of {len(planned.runs)} runs {verb} ({where}), in {planned.folder}")
    counts = Counter(str(state.standing) for state in outcome.left_out.values())
    if counts:
        print("left out: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if outcome.new:
        print(describe_cost(planned.folder, outcome.new, planned.resources))
    print(f"watch: python -m sweeps status {_short(planned.folder)} --watch")
    if outcome.broken:
        print(f"queue the failed ones again: python -m sweeps retry {_short(planned.folder)}")


def wait_for(planned: Plan) -> int:
    """Until no run of the plan can change any more; 0 if all are finished, else 1."""
    known = executors()
    runs = [RunDir(each.folder) for each in planned.runs]
    while True:
        states = states_of(runs, Ledger(planned.folder), known)
        if not any(state.standing in ALIVE for state in states):
            break
        time.sleep(WAIT_POLL_S)
    failed = [state for state in states if state.standing is not Standing.FINISHED]
    for state in failed:
        print(f"{state.run.path}: {state.standing} {state.reason} {state.note}".rstrip())
    return 1 if failed else 0


def _short(folder: Path) -> str:
    """The folder as one would type it here."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
