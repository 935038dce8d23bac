"""The local pool for real, with a training that obeys a file: slots, kills, restarts, cancels."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeps.cancel import cancel
from sweeps.ledger import Attempt, Ledger, Submission
from sweeps.pool import LocalExecutor, pool_is_running, process_of
from sweeps.processes import ProcessMark
from sweeps.resources import Resources
from sweeps.slots import find_gpus, take_slot
from sweeps.state import RunState, Standing, sweep_states
from sweeps.supervisor import Supervisor
from tests.sweeps.fakes import obedient_code, wish
from tests.sweeps.hand_made import config_of, make_run
from yolactpp.run_dir import RunDir

LOCAL = {"local": LocalExecutor()}


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty sweep; whatever pool a test leaves behind is ended."""
    monkeypatch.setenv("YOLACTPP_SLOTS", str(tmp_path / "slots"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    folder = tmp_path / "outputs" / "sweep"
    (folder / ".sweep" / "jobs").mkdir(parents=True)
    yield folder
    cancel(folder, known=LOCAL)
    eventually(lambda: not pool_is_running(folder / ".sweep"))


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def queue(sweep: Path, resources: Resources, **wishes: dict) -> None:
    """Make runs and queue them without starting a pool."""
    ledger = Ledger(sweep)
    code = obedient_code(ledger.hidden)
    for name, its_wishes in wishes.items():
        make_run(sweep / name, config_of())
        wish(sweep / name, **its_wishes)
    ledger.add_submission(Submission(1, resources.as_json(), str(code), 1, [], time.time()))
    ledger.add_attempts(
        [
            Attempt(name, 1, f"L{number:010x}", "local", 1, time.time())
            for number, name in enumerate(wishes)
        ]
    )


def states(sweep: Path) -> dict[str, RunState]:
    return {state.run.path.name: state for state in sweep_states(sweep, LOCAL)}


def starts(sweep: Path, name: str) -> list[dict]:
    path = sweep / name / "starts"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_good_and_bad_runs_end_as_they_are(sweep: Path) -> None:
    resources = Resources(cpu_slots=3)
    queue(sweep, resources, a={}, b={"fail": True}, c={"kill": True}, d={"silent": True}, e={})
    assert {state.standing for state in states(sweep).values()} == {Standing.QUEUED}
    Supervisor(sweep).run()
    found = states(sweep)
    assert {name: str(state.standing) for name, state in found.items()} == {
        "a": "finished",
        "b": "failed",
        "c": "failed",
        "d": "incomplete",
        "e": "finished",
    }
    assert (found["b"].reason, found["b"].note) == ("nan", "mask is not finite")
    assert (found["c"].reason, found["c"].note) == ("killed", "killed by signal 9")
    log = Ledger(sweep).logs("L0000000001")[0].read_text()
    assert "training b" in log
    assert "mask is not finite" in log


def test_no_more_runs_at_a_time_than_slots(sweep: Path) -> None:
    queue(sweep, Resources(cpu_slots=1), a={"seconds": 0.5}, b={"seconds": 0.5})
    Supervisor(sweep).run()
    (first,), (second,) = starts(sweep, "a"), starts(sweep, "b")
    assert second["time"] - first["time"] >= 0.5


def test_gpus_are_given_out_once(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    wishes = {name: {"seconds": 1} for name in "abc"}
    queue(sweep, Resources(gpus_per_node=1), **wishes)
    Supervisor(sweep).run()
    gpus = {name: starts(sweep, name)[0]["gpus"] for name in "abc"}
    assert {gpus["a"], gpus["b"]} == {"4", "7"}
    assert gpus["c"] in ("4", "7")


def test_a_run_of_several_processes_fails_with_any_of_them(sweep: Path) -> None:
    resources = Resources(cpu_slots=1, tasks_per_node=2)
    queue(sweep, resources, a={}, b={"kill": True, "rank": 1, "seconds": 0.2})
    wish(sweep / "b", kill=True, rank=1, seconds=0.2, silent=True)
    Supervisor(sweep).run()
    assert sorted(start["rank"] for start in starts(sweep, "a")) == ["0", "1"]
    assert states(sweep)["a"].standing is Standing.FINISHED
    assert states(sweep)["b"].standing is Standing.FAILED


def test_a_killed_supervisor_loses_nothing(sweep: Path) -> None:
    queue(sweep, Resources(cpu_slots=1), a={"seconds": 2}, b={})
    first = subprocess.Popen([sys.executable, "-m", "sweeps.supervisor", str(sweep)])
    eventually(lambda: bool(starts(sweep, "a")))
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert states(sweep)["a"].standing is Standing.RUNNING
    assert "pool is not running" in states(sweep)["b"].note
    Supervisor(sweep).run()
    assert {str(state.standing) for state in states(sweep).values()} == {"finished"}
    assert len(starts(sweep, "a")) == 1


def test_a_job_that_a_reboot_ended_starts_again(sweep: Path) -> None:
    queue(sweep, Resources(cpu_slots=1), a={"seconds": 0.1})
    before = ProcessMark(1, "1", os.uname().nodename, "another boot")
    process = sweep / ".sweep" / "jobs" / "L0000000000_process.json"
    process.write_text(json.dumps(before.as_json()))
    assert states(sweep)["a"].standing is Standing.QUEUED
    Supervisor(sweep).run()
    assert states(sweep)["a"].standing is Standing.FINISHED


def test_the_pool_survives_the_shell_and_cancel_ends_its_runs(sweep: Path) -> None:
    queue(sweep, Resources(cpu_slots=1), a={"seconds": 60}, b={"seconds": 60}, c={"seconds": 60})
    program = (
        "from pathlib import Path; from sweeps.pool import LocalExecutor;"
        f"LocalExecutor().started(Path({str(sweep / '.sweep')!r}))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    eventually(lambda: bool(starts(sweep, "a")))
    assert states(sweep)["a"].standing is Standing.RUNNING
    assert cancel(sweep, ["run=a,b"], known=LOCAL) == ["a", "b"]
    eventually(lambda: states(sweep)["a"].standing is Standing.CANCELLED)
    eventually(lambda: bool(starts(sweep, "c")))
    assert states(sweep)["b"].standing is Standing.CANCELLED
    assert starts(sweep, "b") == []
    assert json.loads((sweep / "a" / "status.json").read_text())["state"] == "preempted"


def test_two_pools_never_share_a_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLACTPP_SLOTS", str(tmp_path / "slots"))
    one, two = Resources(cpu_slots=1), Resources(gpus_per_node=1, runs_per_gpu=2)
    held = take_slot(one, [])
    assert held is not None
    assert take_slot(one, []) is None
    held.close()
    again = take_slot(one, [])
    assert again is not None
    shares = [take_slot(two, ["0"]) for _ in range(3)]
    assert [share is not None for share in shares] == [True, True, False]
    assert take_slot(Resources(gpus_per_node=1), ["0"]) is None
    for slot in (again, *shares):
        if slot is not None:
            slot.close()


def test_a_run_that_wants_more_gpus_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="gpus_per_node=3: this machine has 2"):
        take_slot(Resources(gpus_per_node=3), ["0", "1"])


@pytest.mark.parametrize(("visible", "gpus"), [("", []), ("-1", []), ("0,3", ["0", "3"])])
def test_visible_gpus_are_respected(
    monkeypatch: pytest.MonkeyPatch, visible: str, gpus: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_gpus() == gpus


def test_a_process_is_known_again_and_a_reused_id_is_not(tmp_path: Path) -> None:
    own = ProcessMark.of(os.getpid())
    assert own.is_alive()
    assert ProcessMark.from_json(own.as_json()) == own
    assert not ProcessMark(own.pid, "1", own.host, own.boot).is_alive()
    assert not ProcessMark(own.pid, own.started, own.host, "before").is_alive()
    assert process_of(tmp_path, "L1") is None
    assert not RunDir(tmp_path).is_finished()
