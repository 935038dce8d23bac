"""One state a run from result, executor and heartbeat, conflicts included."""

import time
from pathlib import Path

import pytest

from sweeps.executor import JobView, Life
from sweeps.filters import select
from sweeps.ledger import Attempt, Ledger
from sweeps.state import Standing, duration, states_of, sweep_states
from sweeps.status import row_of
from tests.sweeps.fakes import FakeExecutor
from tests.sweeps.hand_made import config_of, hybrid, make_run
from yolactpp.run_dir import RunDir, write_json

OLD = 7200.0


def with_job(run: RunDir, view: JobView, tmp_path: Path):
    ledger = Ledger(run.path.parent)
    ledger.add_attempts([Attempt(run.path.name, 1, "F1", "local", 1, time.time())])
    fake = FakeExecutor(tmp_path / "queue")
    fake.known["F1"] = view
    (state,) = states_of([run], ledger, {"local": fake})
    return state


def status(state: str, age_s: float = 0.0, **more: object) -> dict:
    """A status.json; `stamped` turns its age into a heartbeat when the test runs."""
    return {"state": state, "age_s": age_s, **more}


def stamped(content: dict) -> dict:
    if not content:
        return {}
    return content | {"heartbeat": time.time() - content["age_s"]}


def ended(code: int | None, word: str = "") -> JobView:
    return JobView(Life.ENDED, word, "node1", code)


@pytest.mark.parametrize(
    ("content", "view", "standing", "reason", "note"),
    [
        ({}, JobView(Life.PENDING, "PENDING"), Standing.QUEUED, "", ""),
        (
            status("preempted", reason="preempted"),
            JobView(Life.PENDING, "PENDING"),
            Standing.QUEUED,
            "preempted",
            "",
        ),
        (status("running"), JobView(Life.RUNNING, "RUNNING"), Standing.RUNNING, "", ""),
        (
            status("running", OLD),
            JobView(Life.RUNNING, "RUNNING"),
            Standing.RUNNING,
            "",
            "no heartbeat for 2.0 h",
        ),
        ({}, ended(0, "COMPLETED"), Standing.INCOMPLETE, "", "COMPLETED without eval.json"),
        (status("finished", OLD), ended(0), Standing.INCOMPLETE, "", "without eval.json"),
        (status("failed", reason="nan"), ended(1, "FAILED"), Standing.FAILED, "nan", ""),
        (status("running", OLD), ended(137, "FAILED"), Standing.FAILED, "killed", "signal 9"),
        (status("running", OLD), ended(None, "TIMEOUT"), Standing.FAILED, "timeout", "TIMEOUT"),
        (status("running", OLD), ended(0, "OUT_OF_MEMORY"), Standing.FAILED, "oom", "MEMORY"),
        (status("running", OLD), ended(1, "NODE_FAIL"), Standing.FAILED, "node_fail", "NODE_FAIL"),
        (status("running", OLD), ended(None), Standing.FAILED, "lost", "no exit status"),
        ({}, ended(2, "FAILED"), Standing.FAILED, "error", "exit status 2"),
        ({}, ended(0, "CANCELLED"), Standing.CANCELLED, "cancelled", "from outside"),
        (
            status("running", 1.0),
            ended(None),
            Standing.RUNNING,
            "",
            "the executor says gone, but the heartbeat is 1 s old",
        ),
        (status("running", OLD), JobView(Life.UNKNOWN, "squeue"), Standing.UNKNOWN, "", "squeue"),
        (status("running", 1.0), JobView(Life.UNKNOWN, "squeue"), Standing.RUNNING, "", "squeue"),
    ],
)
def test_runs_with_a_job(
    tmp_path: Path, content: dict, view: JobView, standing: Standing, reason: str, note: str
) -> None:
    run = make_run(tmp_path / "runs/a", config_of(), **stamped(content))
    state = with_job(run, view, tmp_path)
    assert (state.standing, state.reason) == (standing, reason)
    assert note in state.note


@pytest.mark.parametrize(
    ("content", "standing"),
    [
        ({}, Standing.PLANNED),
        (status("running"), Standing.RUNNING),
        (status("running", OLD), Standing.UNKNOWN),
        (status("failed", reason="oom"), Standing.FAILED),
        (status("interrupted"), Standing.INTERRUPTED),
        (status("finished"), Standing.INCOMPLETE),
    ],
)
def test_runs_without_a_job(tmp_path: Path, content: dict, standing: Standing) -> None:
    run = make_run(tmp_path / "runs/a", config_of(), **stamped(content))
    (state,) = states_of([run], Ledger(run.path.parent), {})
    assert state.standing is standing


def test_a_result_outweighs_what_the_executor_says(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs/a", config_of(), 0.4)
    state = with_job(run, ended(1, "FAILED"), tmp_path)
    assert (state.standing, state.ap) == (Standing.FINISHED, 0.4)


def test_a_result_that_cannot_be_read_is_incomplete(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs/a", config_of(), 0.4)
    run.evaluation.write_text("{")
    state = with_job(run, ended(0, "COMPLETED"), tmp_path)
    assert state.standing is Standing.INCOMPLETE
    assert "eval.json" in state.note


def test_requeues_are_counted(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs/a", config_of(), **stamped(status("running")))
    ledger = Ledger(run.path.parent)
    ledger.jobs.mkdir(parents=True)
    lines = ['{"event": "start", "restart": 0}', '{"event": "start", "restart": 2}']
    (ledger.jobs / "F1_events.jsonl").write_text("\n".join(lines))
    state = with_job(run, JobView(Life.RUNNING, "RUNNING"), tmp_path)
    assert state.requeues == 2
    assert row_of(state)["attempt"] == "1+2"


def test_a_row_shows_progress(tmp_path: Path) -> None:
    content = status(
        "running",
        iteration=30,
        total=60,
        eta_s=90.0,
        losses={"total": 1.23456},
        validation={"segm_AP": 0.25},
        host="vm",
    )
    run = make_run(tmp_path / "runs/a", config_of(), **stamped(content))
    row = row_of(with_job(run, JobView(Life.RUNNING, "RUNNING", "node2"), tmp_path))
    assert (row["state"], row["iteration"], row["loss"]) == ("running", "30/60", "1.235")
    assert (row["ETA"], row["AP"], row["node"]) == ("90 s", "25.00", "node2")


def test_filters_choose_by_settings(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a-00000001", config_of("huber", seed=1))
    make_run(tmp_path / "runs/b-00000002", config_of("huber", seed=2))
    make_run(tmp_path / "runs/c-00000003", config_of(hybrid("mse", "bce", 1.0)))
    states = sweep_states(tmp_path / "runs", {})

    def names(*filters: str) -> str:
        return "".join(state.run.path.name[0] for state in select(states, filters))

    assert names("loss=huber") == "ab"
    assert names("loss=huber", "seed=2,3") == "b"
    assert names("loss.alpha=1") == names("alpha=1.0") == "c"
    assert names("run=00000002") == "b"
    assert names("batch_size=16") == "abc"
    assert names("protocol=sound", "loss=mse") == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (119, "119 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_torn_last_line_of_the_ledger_is_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs/a", config_of())
    ledger = Ledger(run.path.parent)
    ledger.add_attempts([Attempt("a", 1, "F1", "local", 1, 0.0)])
    with ledger.path.open("a") as file:
        file.write('{"kind": "attempt", "run"')
    assert [attempt.job for attempt in ledger.read().attempts] == ["F1"]
    write_json(run.status, {"state": "running"})
