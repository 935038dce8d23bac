"""One state a run, joined from its result file, its executor and its heartbeat.

The result file is the truth about success, the executor about being alive, status.json about
progress and reasons. Where they disagree the state says so in its note. Looking changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sweeps.executor import Executor, JobView, Life
from sweeps.ledger import Attempt, Content, Ledger
from yolactpp.run_dir import CorruptFileError, RunDir, State, find_runs, read_json

FRESH_S = 60.0  # a heartbeat no older than this is that of a living process


class Standing(StrEnum):
    """Where a run stands."""

    PLANNED = "planned"
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"  # its job ended well but left no result
    INTERRUPTED = "interrupted"  # stopped by hand; it can go on
    UNKNOWN = "unknown"  # nobody can say; it may be alive


ALIVE = frozenset({Standing.QUEUED, Standing.RUNNING, Standing.UNKNOWN})
# What `retry` queues again when it is not told more.
BROKEN = frozenset({Standing.FAILED, Standing.INCOMPLETE, Standing.INTERRUPTED})


@dataclass(frozen=True)
class RunState:
    """A run as `status` shows it."""

    run: RunDir
    standing: Standing
    reason: str = ""  # nan, oom, error, timeout, preempted, killed, node_fail, ...
    note: str = ""
    attempt: Attempt | None = None
    requeues: int = 0
    node: str = ""
    status: Mapping[str, Any] | None = None
    ap: float | None = None  # of the result, or of the last validation so far


def sweep_states(folder: Path, executors: Mapping[str, Executor]) -> list[RunState]:
    """The states of all runs at or under a folder: a sweep's, a run's, or one with several sweeps.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder: give a sweep's, such as outputs/table3")
    by_sweep: dict[Path, list[RunDir]] = {}
    for run in find_runs(folder):
        by_sweep.setdefault(run.path.parent, []).append(run)
    return [
        state
        for sweep, runs in by_sweep.items()
        for state in states_of(runs, Ledger(sweep), executors)
    ]


def states_of(
    runs: Iterable[RunDir], ledger: Ledger, executors: Mapping[str, Executor]
) -> list[RunState]:
    """The states of some runs of one sweep."""
    content = ledger.read()
    latest = content.latest()
    runs = list(runs)
    evaluations = {run.path: _evaluation(run) for run in runs}
    open_attempts = [
        latest[run.path.name]
        for run in runs
        if run.path.name in latest and not isinstance(evaluations[run.path], dict)
    ]
    views = _views(open_attempts, ledger, executors)
    return [
        _state(run, evaluations[run.path], latest.get(run.path.name), views, content, ledger)
        for run in runs
    ]


def _views(
    attempts: Sequence[Attempt], ledger: Ledger, executors: Mapping[str, Executor]
) -> dict[str, JobView]:
    views: dict[str, JobView] = {}
    for name, executor in executors.items():
        jobs = [attempt.job for attempt in attempts if attempt.executor == name]
        if jobs:
            views |= executor.views(jobs, ledger.hidden.absolute())
    return views


def _state(
    run: RunDir,
    evaluation: dict[str, Any] | str | None,
    attempt: Attempt | None,
    views: Mapping[str, JobView],
    content: Content,
    ledger: Ledger,
) -> RunState:
    status = _status(run)
    view = views.get(attempt.job) if attempt else None
    events = ledger.events(attempt.job) if attempt else []
    requeues = max(
        sum(each["event"] == "requeue" for each in events),
        max((int(each.get("restart", 0)) for each in events), default=0),
    )
    common: dict[str, Any] = {
        "run": run,
        "attempt": attempt,
        "requeues": requeues,
        "status": status,
        "node": (view.node if view and view.node else str(status.get("host", ""))),
        "ap": _ap(evaluation, status),
    }
    if isinstance(evaluation, dict):
        return RunState(standing=Standing.FINISHED, **common)
    if view is None:
        standing, reason, note = _without_job(status)
    else:
        cancelled = attempt is not None and attempt.job in content.cancelled
        standing, reason, note = _with_job(status, view, cancelled=cancelled)
    if isinstance(evaluation, str):  # there is a result, but not one that can be read
        note = evaluation
        standing = standing if standing in ALIVE else Standing.INCOMPLETE
    return RunState(standing=standing, reason=reason, note=note, **common)


def _without_job(status: Mapping[str, Any]) -> tuple[Standing, str, str]:
    """A run that no sweep has queued: planned, or trained by hand."""
    state, reason = status.get("state"), str(status.get("reason") or "")
    if state == State.RUNNING:
        if _is_fresh(status):
            return Standing.RUNNING, "", "not queued by a sweep"
        return Standing.UNKNOWN, "", f"last heartbeat {_age(status)} ago, not queued by a sweep"
    if state == State.FAILED:
        return Standing.FAILED, reason or "error", str(status.get("message") or "")
    if state in (State.INTERRUPTED, State.PREEMPTED):
        return Standing.INTERRUPTED, reason, ""
    if state == State.FINISHED:
        return Standing.INCOMPLETE, "", "status.json says finished, but there is no eval.json"
    return Standing.PLANNED, "", ""


def _with_job(
    status: Mapping[str, Any], view: JobView, *, cancelled: bool
) -> tuple[Standing, str, str]:
    if view.life is Life.PENDING:
        reason = str(status.get("reason") or "") if status.get("state") == State.PREEMPTED else ""
        return Standing.QUEUED, reason, "" if view.word in ("PENDING", "") else view.word
    if view.life is Life.RUNNING:
        late = status.get("state") == State.RUNNING and not _is_fresh(status)
        return Standing.RUNNING, "", f"no heartbeat for {_age(status)}" if late else ""
    died = view.life is Life.ENDED and view.exit_code is not None
    if status.get("state") == State.RUNNING and _is_fresh(status) and not died:
        note = f"the executor says {view.word or 'gone'}, but the heartbeat is {_age(status)} old"
        return Standing.RUNNING, "", note
    if view.life is Life.UNKNOWN:
        return Standing.UNKNOWN, "", view.word
    return _ended(status, view, cancelled=cancelled)


def _ended(
    status: Mapping[str, Any], view: JobView, *, cancelled: bool
) -> tuple[Standing, str, str]:
    message = str(status.get("message") or "")
    told = str(status.get("reason") or "")
    if cancelled or view.word == "CANCELLED":
        return Standing.CANCELLED, "cancelled", "" if cancelled else "cancelled from outside"
    if status.get("state") == State.FAILED:
        return Standing.FAILED, told or "error", message
    if view.word in ("TIMEOUT", "DEADLINE"):
        return Standing.FAILED, "timeout", f"the scheduler says {view.word}"
    if view.word == "OUT_OF_MEMORY":
        return Standing.FAILED, "oom", "the scheduler says OUT_OF_MEMORY"
    if view.word in ("NODE_FAIL", "BOOT_FAIL", "PREEMPTED"):
        reason = "preempted" if view.word == "PREEMPTED" else "node_fail"
        return Standing.FAILED, reason, f"the scheduler says {view.word}"
    if view.exit_code == 0:
        note = f"{view.word or 'exit status 0'} without eval.json"
        return Standing.INCOMPLETE, "", note
    if view.exit_code is None:
        return Standing.FAILED, "lost", "its job is gone and left no exit status"
    if view.exit_code > 128:
        return Standing.FAILED, "killed", f"killed by signal {view.exit_code - 128}"
    return Standing.FAILED, "error", f"exit status {view.exit_code}"


def _evaluation(run: RunDir) -> dict[str, Any] | str | None:
    """The result, why it cannot be read, or None where there is none."""
    try:
        return run.read_evaluation()
    except CorruptFileError as error:
        return str(error)


def _status(run: RunDir) -> dict[str, Any]:
    try:
        return read_json(run.status) if run.status.exists() else {}
    except CorruptFileError:
        return {}


def _ap(evaluation: dict[str, Any] | str | None, status: Mapping[str, Any]) -> float | None:
    if isinstance(evaluation, dict):
        return evaluation["metrics"]["segm"].get("AP")
    return (status.get("validation") or {}).get("segm_AP")


def _is_fresh(status: Mapping[str, Any]) -> bool:
    return time.time() - float(status.get("heartbeat") or 0) < FRESH_S


def _age(status: Mapping[str, Any]) -> str:
    seconds = time.time() - float(status.get("heartbeat") or 0)
    if seconds > 1e8:
        return "ever"
    return duration(seconds)


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.4 h`, `2.0 d`."""
    for size, unit in ((86400, "d"), (3600, "h")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
