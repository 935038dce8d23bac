"""A real two-node SLURM: arrays, failures, lost ranks, timeouts, drains, scancel."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.cancel import cancel
from sweeps.retry import retry
from sweeps.slurm import max_array_size
from sweeps.state import Standing
from tests.sweeps.cluster import CPU, cluster_for_tests, eventually, queue, run, settled, states
from tests.sweeps.fakes import obedient_code, wish

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    yield from cluster_for_tests()


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A sweep whose jobs train as they are told to; none of them outlives the test."""
    monkeypatch.setattr("sweeps.queueing.take_snapshot", obedient_code)
    folder = tmp_path / "outputs" / "sweep"
    folder.mkdir(parents=True)
    yield folder
    cancel(folder)


def test_arrays_are_chunked_and_one_failure_touches_no_other(sweep: Path) -> None:
    wishes = {f"good{n}": {} for n in range(max_array_size())}
    jobs = queue(sweep, **wishes, bad={"fail": True}, silent={"silent": True})
    arrays = {job.split("_")[0] for job in jobs.values()}
    assert len(arrays) == 2
    found = settled(sweep)
    assert all(found[name].standing is Standing.FINISHED for name in wishes)
    assert (found["bad"].standing, found["bad"].reason) == (Standing.FAILED, "nan")
    assert found["bad"].note == "mask is not finite"
    assert found["silent"].standing is Standing.INCOMPLETE
    shown = run("scontrol", "show", "job", "--oneliner", jobs["bad"]).stdout
    assert "JobState=FAILED" in shown
    assert "ExitCode=1:0" in shown
    assert list(retry(sweep, only="nan")) == [found["bad"].run.path]
    wish(sweep / "bad")
    cancel(sweep, ["run=bad"])


def test_a_killed_rank_fails_its_run(sweep: Path) -> None:
    two = replace(CPU, tasks_per_node=2)
    queue(sweep, two, lost={"kill": True, "rank": 1, "seconds": 1}, whole={})
    wish(sweep / "lost", kill=True, rank=1, seconds=1, silent=True)
    found = settled(sweep)
    assert (found["lost"].standing, found["lost"].reason) == (Standing.FAILED, "killed")
    assert found["whole"].standing is Standing.FINISHED


def test_a_timeout_requeues_until_its_limit(sweep: Path) -> None:
    minute = replace(CPU, timeout_min=1, signal_delay_s=30, max_num_timeout=1)
    jobs = queue(sweep, minute, slow={"seconds": 300})
    found = settled(sweep, 200)["slow"]
    assert (found.standing, found.reason) == (Standing.FAILED, "timeout")
    assert found.note == "timeout after 1 requeues, the limit"
    assert found.requeues == 1
    shown = run("scontrol", "show", "job", "--oneliner", jobs["slow"]).stdout
    assert "JobState=FAILED" in shown


def test_scancel_from_outside_is_final_until_retry(sweep: Path) -> None:
    jobs = queue(sweep, long={"seconds": 120})
    eventually(lambda: (sweep / "long" / "starts").exists())
    run("scancel", jobs["long"])
    found = settled(sweep)["long"]
    assert (found.standing, found.note) == (Standing.CANCELLED, "cancelled from outside")
    assert found.requeues == 0
    wish(sweep / "long")
    assert list(retry(sweep)) == []
    assert len(retry(sweep, only="cancelled")) == 1
    found = settled(sweep)["long"]
    assert found.standing is Standing.FINISHED
    assert found.attempt is not None
    assert found.attempt.number == 2


def test_drained_nodes_keep_runs_waiting_and_edits_do_not_reach_them(sweep: Path) -> None:
    run("scontrol", "update", "NodeName=node1,node2", "State=DRAIN", "Reason=test")
    try:
        queue(sweep, waiting={})
        assert states(sweep)["waiting"].standing is Standing.QUEUED
        (sweep / "waiting" / "note.yaml").write_text("edited: while it waits\n")
    finally:
        run("scontrol", "update", "NodeName=node1,node2", "State=RESUME")
    assert settled(sweep)["waiting"].standing is Standing.FINISHED


def test_a_submission_from_inside_an_allocation_stands_on_its_own(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherited = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "7", "SBATCH_PARTITION": "nowhere"}
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)
    queue(sweep, inner={})
    for name in inherited:
        monkeypatch.delenv(name)
    assert settled(sweep)["inner"].standing is Standing.FINISHED
