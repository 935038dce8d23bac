"""Submitting, retrying and cancelling on a fake executor; nothing is queued twice or lost."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

import sweeps
from sweeps import __main__ as command_line
from sweeps.cancel import cancel
from sweeps.executor import JobView, Life
from sweeps.ledger import Ledger
from sweeps.plan import Plan
from sweeps.retry import retry
from sweeps.state import Standing, sweep_states
from sweeps.submit import submit
from tests.sweeps.fakes import FakeExecutor
from yolactpp.run_dir import RunDir, update_status, write_json


@pytest.fixture(scope="module")
def planned_once() -> Plan:
    return sweeps.plan("table1", ["seed=0,1"])


@pytest.fixture
def plan(planned_once: Plan, tmp_path: Path) -> Plan:
    """The plan, as if it had been made with outputs in the test's own folder."""
    folder = tmp_path / "outputs" / "table1"
    runs = [
        replace(
            run,
            folder=folder / run.folder.name,
            config=run.config | {"outputs": str(folder.parent)},
        )
        for run in planned_once.runs
    ]
    return replace(planned_once, folder=folder, runs=runs)


@pytest.fixture
def fake(tmp_path: Path) -> FakeExecutor:
    return FakeExecutor(tmp_path / "queue")


def finish(run: Path, ap: float = 0.5) -> None:
    metrics = {"AP": ap}
    document = {"schema_version": 1, "metrics": {"bbox": metrics, "segm": metrics}}
    write_json(RunDir(run).evaluation, document)


def end(fake: FakeExecutor, job: str, code: int = 1, word: str = "FAILED") -> None:
    fake.known[job] = JobView(Life.ENDED, word, "node1", code)


def test_all_runs_are_frozen_and_queued(plan: Plan, fake: FakeExecutor) -> None:
    outcome = submit(plan, known={"local": fake})
    assert len(outcome.jobs) == 6
    assert sorted(fake.queued) == sorted(run.folder.name for run in plan.runs)
    assert all(RunDir(run.folder).config.exists() for run in plan.runs)
    assert fake.orders[0].code.joinpath("yolactpp", "run_dir.py").exists()


def test_submitting_again_finds_nothing_to_do(plan: Plan, fake: FakeExecutor) -> None:
    submit(plan, known={"local": fake})
    finish(plan.runs[0].folder)
    before = Ledger(plan.folder).path.read_text()
    outcome = submit(plan, known={"local": fake})
    assert outcome.new == []
    assert len(fake.queued) == 6
    assert Ledger(plan.folder).path.read_text() == before


def test_a_dry_run_says_what_a_submission_does_and_writes_nothing(
    plan: Plan, fake: FakeExecutor
) -> None:
    dry = submit(plan, dry_run=True, known={"local": fake})
    assert not plan.folder.exists()
    real = submit(plan, known={"local": fake})
    assert [run.folder for run in dry.new] == [run.folder for run in real.new] == list(real.jobs)


def test_twenty_submitters_of_one_config_make_one_run(plan: Plan, fake: FakeExecutor) -> None:
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=submit, args=(plan,), kwargs={"known": {"local": fake}})
        for _ in range(20)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 20
    assert sorted(fake.queued) == sorted(run.folder.name for run in plan.runs)


def test_a_submission_that_breaks_off_knows_what_it_queued(plan: Plan, tmp_path: Path) -> None:
    broken = FakeExecutor(tmp_path / "queue", breaks_after=2)
    with pytest.raises(RuntimeError, match="sbatch refused"):
        submit(plan, known={"local": broken})
    assert len(Ledger(plan.folder).read().attempts) == 4
    whole = FakeExecutor(tmp_path / "queue")
    assert len(submit(plan, known={"local": whole}).jobs) == 2
    assert sorted(whole.queued) == sorted(run.folder.name for run in plan.runs)


def test_failed_runs_wait_for_retry_and_attempts_are_kept(plan: Plan, fake: FakeExecutor) -> None:
    jobs = submit(plan, known={"local": fake}).jobs
    first, second, *rest = list(jobs)
    end(fake, jobs[first])
    update_status(RunDir(first), state="failed", reason="nan", message="mask is not finite")
    end(fake, jobs[second], 137)
    for run in rest:
        finish(run)
    outcome = submit(plan, known={"local": fake})
    assert outcome.new == []
    assert {state.reason for state in outcome.broken} == {"nan", "killed"}
    assert list(retry(plan.folder, only="oom", known={"local": fake})) == []
    assert list(retry(plan.folder, only="nan", known={"local": fake})) == [first]
    assert list(retry(plan.folder, known={"local": fake})) == [second]
    attempts = Ledger(plan.folder).read().attempts
    assert [(a.run, a.number) for a in attempts[-2:]] == [(first.name, 2), (second.name, 2)]
    assert len(attempts) == 8


def test_retry_takes_the_last_resources_unless_told(plan: Plan, fake: FakeExecutor) -> None:
    from sweeps.resources import Resources

    jobs = submit(plan, known={"local": fake}).jobs
    run = next(iter(jobs))
    end(fake, jobs[run])
    retry(plan.folder, [f"run={run.name}"], known={"local": fake})
    assert fake.orders[-1].resources == plan.resources
    end(fake, Ledger(plan.folder).read().latest()[run.name].job)
    retry(plan.folder, change=lambda _last: Resources(timeout_min=99), known={"local": fake})
    assert fake.orders[-1].resources == Resources(timeout_min=99)


def test_the_command_gives_a_run_more_time(
    plan: Plan, fake: FakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.retry.executors", lambda: {"local": fake})
    jobs = submit(plan, known={"local": fake}).jobs
    end(fake, next(iter(jobs.values())))
    words = ["retry", str(plan.folder), "--only", "failed", "timeout_min=2880"]
    assert command_line.main(words) == 0
    assert fake.orders[-1].resources == replace(plan.resources, timeout_min=2880)


def test_cancel_ends_only_what_was_chosen(plan: Plan, fake: FakeExecutor) -> None:
    jobs = submit(plan, known={"local": fake}).jobs
    finished = next(run for run in jobs if "b2-s1" in run.name)
    finish(finished)
    names = cancel(plan.folder, ["seed=1"], known={"local": fake})
    assert sorted(name.split("-")[1] for name in names) == ["b16", "b8"]
    assert sorted(fake.cancelled) == sorted(jobs[plan.folder / name] for name in names)
    for job in fake.cancelled:
        end(fake, job, 143)
    states = {s.run.path.name: s.standing for s in sweep_states(plan.folder, {"local": fake})}
    assert {states[name] for name in names} == {Standing.CANCELLED}
    assert states[finished.name] is Standing.FINISHED
    assert list(retry(plan.folder, known={"local": fake})) == []
    assert len(retry(plan.folder, only="cancelled", known={"local": fake})) == 2


@pytest.mark.parametrize(
    ("filters", "message"), [(["seed"], "is no filter"), (["sed=1"], "no run has a setting sed")]
)
def test_wrong_filters_cancel_nothing(
    plan: Plan, fake: FakeExecutor, filters: list[str], message: str
) -> None:
    submit(plan, known={"local": fake})
    with pytest.raises(ValueError, match=message):
        cancel(plan.folder, filters, known={"local": fake})
    assert fake.cancelled == []


def test_looking_changes_nothing(plan: Plan, fake: FakeExecutor) -> None:
    submit(plan, known={"local": fake})
    before = {path: path.stat().st_mtime_ns for path in plan.folder.rglob("*")}
    sweep_states(plan.folder, {"local": fake})
    submit(plan, dry_run=True, known={"local": fake})
    assert {path: path.stat().st_mtime_ns for path in plan.folder.rglob("*")} == before
