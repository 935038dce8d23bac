"""`python -m sweeps retry FOLDER [KEY=VALUE ...]`: queue broken runs again, as new attempts.

Taken are runs that failed, ended without a result or were interrupted. They go on from their last
good checkpoint, with their frozen settings and today's code. Earlier attempts stay on record.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from sweeps.executor import Executor
from sweeps.filters import select
from sweeps.ledger import Content, Ledger
from sweeps.plan import changed_resources
from sweeps.queueing import MAX_REQUEUES, executors, queue_runs
from sweeps.resources import Resources
from sweeps.state import BROKEN, RunState, Standing, sweep_states

REASONS = ("failed", "timeout", "oom", "nan", "preempted", "killed", "incomplete", "cancelled")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.description = __doc__
    parser.add_argument("folder", type=Path, help="a sweep's folder, or a run's")
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="KEY=VALUE",
        help="filters, and resources in place of the last attempt's (timeout_min=600)",
    )
    parser.add_argument("--only", choices=REASONS, help="only runs that ended so")


def run(args: argparse.Namespace) -> int:
    """Queue again and say what was queued."""
    overrides = [each for each in args.settings if is_resource(each)]
    filters = [each for each in args.settings if each not in overrides]
    jobs = retry(args.folder, filters, args.only, changed_resources(overrides))
    for path, job in jobs.items():
        print(f"queued {path.name} as {job}")
    print(f"{len(jobs)} runs queued again")
    return 0


def retry(
    folder: Path,
    filters: Sequence[str] = (),
    only: str | None = None,
    change: Callable[[Resources], Resources] = lambda last: last,
    known: Mapping[str, Executor] | None = None,
) -> dict[Path, str]:
    """Queue broken runs again; run folder -> job id.

    Args:
        folder: a sweep's folder, or a run's.
        filters: by config values.
        only: one of REASONS; None takes what is broken, but not what was cancelled.
        change: makes a run's resources of those of its last attempt.
    """
    known = executors() if known is None else known
    sweeps = {state.run.path.parent for state in sweep_states(folder, known)}
    jobs: dict[Path, str] = {}
    for sweep in sorted(sweeps):
        ledger = Ledger(sweep)
        with ledger.locked():
            states = [s for s in sweep_states(folder, known) if s.run.path.parent == sweep]
            broken = [state for state in select(states, filters) if is_wanted(state, only)]
            jobs |= _queue(ledger, broken, change, known)
    return jobs


def is_wanted(state: RunState, only: str | None) -> bool:
    """Whether a run is broken in the way asked for."""
    if only is None:
        return state.standing in BROKEN
    if only == "failed":
        return state.standing is Standing.FAILED
    return only in (state.standing, state.reason) and state.standing in {
        *BROKEN,
        Standing.CANCELLED,
    }


def is_resource(setting: str) -> bool:
    """Whether KEY=VALUE describes resources and not a setting of the run."""
    from sweeps.resources import spelled_out

    return setting.startswith("hydra") or spelled_out([setting]) != [setting]


def _queue(
    ledger: Ledger,
    states: Collection[RunState],
    change: Callable[[Resources], Resources],
    known: Mapping[str, Executor],
) -> dict[Path, str]:
    """Runs that share resources go into one submission."""
    content = ledger.read()
    groups: dict[str, list[RunState]] = {}
    chosen: dict[str, tuple[Resources, int]] = {}
    for state in states:
        last, max_requeues = _last(state, content)
        resources = change(last)
        key = repr(resources) + str(max_requeues)
        chosen[key] = (resources, max_requeues)
        groups.setdefault(key, []).append(state)
    jobs: dict[Path, str] = {}
    for key, members in groups.items():
        own, max_requeues = chosen[key]
        runs = [state.run.path for state in members]
        queued = queue_runs(ledger, known[own.executor], runs, own, ["retry"], max_requeues)
        jobs |= queued.jobs
    return jobs


def _last(state: RunState, content: Content) -> tuple[Resources, int]:
    if state.attempt is None:
        return Resources(), MAX_REQUEUES
    submission = content.submissions[state.attempt.submission]
    return Resources.from_json(submission.resources), submission.max_requeues
