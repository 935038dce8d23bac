"""The SLURM executor without a SLURM: chunks, caps, sbatch's parameters, what commands print."""

import stat
from pathlib import Path

import pytest

from sweeps.executor import Life, Order
from sweeps.job import reason_to_stop
from sweeps.ledger import note_event
from sweeps.resources import Resources
from sweeps.slurm import max_array_size, sbatch_parameters, share_out, split
from sweeps.slurm_views import slurm_views


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put commands on PATH that print a text, and leave out all others of SLURM."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def install(code: int = 0, **texts: str) -> None:
        for name, text in texts.items():
            path = folder / name
            path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    install(1, squeue="", scontrol="", sacct="")
    return install


@pytest.mark.parametrize(
    ("cap", "sizes", "shares"),
    [
        (10, [4, 4, 2], [4, 4, 2]),
        (7, [4, 4, 4], [3, 2, 2]),
        (2, [5, 5, 5], [1, 1, 0]),
        (100, [3], [3]),
    ],
)
def test_the_cap_is_shared_out_over_the_arrays(
    cap: int, sizes: list[int], shares: list[int]
) -> None:
    assert share_out(cap, sizes) == shares
    assert sum(shares) <= cap


def test_runs_are_cut_into_pieces() -> None:
    assert split([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert split([], 2) == []


def test_the_largest_array_is_asked_for(commands) -> None:
    commands(scontrol="Configuration data\nMaxArraySize            = 1001\nMaxJobCount = 10000")
    assert max_array_size() == 1001


def test_no_slurm_is_said_plainly(commands) -> None:
    commands(1, scontrol="slurm_load_ctl_conf error: Unable to contact slurm controller")
    with pytest.raises(RuntimeError, match="SLURM does not answer"):
        max_array_size()


def test_sbatch_is_told_of_resources_and_of_the_code(tmp_path: Path) -> None:
    resources = Resources(
        executor="slurm",
        nodes=2,
        tasks_per_node=4,
        gpus_per_node=4,
        cpus_per_task=8,
        mem_gb=1.5,
        timeout_min=90,
        setup=("module load cuda",),
        slurm={"partition": "gpu"},
        additional_parameters={"mail-user": "me"},
    )
    order = Order("table3", [], resources, tmp_path, tmp_path / "my code", 5)
    parameters = sbatch_parameters(order, parallelism=3, after="12")
    assert parameters["nodes"] == 2
    assert parameters["ntasks_per_node"] == 4
    assert parameters["gpus_per_node"] == 4
    assert parameters["mem"] == "1536MB"
    assert parameters["partition"] == "gpu"
    assert parameters["array_parallelism"] == 3
    assert parameters["dependency"] == "afterany:12"
    assert parameters["srun_args"] == ["--kill-on-bad-exit=1"]
    assert parameters["additional_parameters"] == {"requeue": True, "mail-user": "me"}
    assert "module load cuda" in parameters["setup"]
    assert any("my code'" in line and "PYTHONPATH" in line for line in parameters["setup"])


def test_nothing_is_called_dead_when_squeue_does_not_answer(commands, tmp_path: Path) -> None:
    commands(scontrol="JobId=7 JobState=FAILED ExitCode=1:0")
    assert slurm_views(["7"], tmp_path)["7"].life is Life.UNKNOWN


def test_the_living_are_those_in_the_queue(commands, tmp_path: Path) -> None:
    commands(squeue="12_0|RUNNING|node1\n12_1|PENDING|\n13|COMPLETING|node2\n14|COMPLETED|node2")
    views = slurm_views(["12_0", "12_1", "13", "14"], tmp_path)
    assert [views[job].life for job in views] == [
        Life.RUNNING,
        Life.PENDING,
        Life.RUNNING,
        Life.ENDED,
    ]
    assert views["12_0"].node == "node1"


def test_without_accounting_notes_and_the_controller_tell_of_the_dead(
    commands, tmp_path: Path
) -> None:
    commands(
        squeue="",
        scontrol=(
            "JobId=21 ArrayJobId=20 ArrayTaskId=3 JobState=TIMEOUT ExitCode=0:15 NodeList=node1\n"
            "JobId=30 JobState=CANCELLED ExitCode=0:0 NodeList=(null)"
        ),
    )
    note_event(tmp_path, "8", "start", node="node2")
    note_event(tmp_path, "8", "exit", code=137, node="node2")
    note_event(tmp_path, "9", "exit", code=0, node="node2")
    note_event(tmp_path, "9", "start", node="node1", restart=1)
    views = slurm_views(["20_3", "30", "8", "9"], tmp_path)
    assert (views["20_3"].word, views["20_3"].exit_code, views["20_3"].node) == (
        "TIMEOUT",
        143,
        "node1",
    )
    assert (views["30"].word, views["30"].node) == ("CANCELLED", "")
    assert (views["8"].word, views["8"].exit_code, views["8"].node) == ("FAILED", 137, "node2")
    assert (views["9"].life, views["9"].exit_code) == (Life.ENDED, None)


def test_accounting_has_the_last_word(commands, tmp_path: Path) -> None:
    commands(squeue="", sacct="8|OUT_OF_MEMORY|node1|9:0\n9|CANCELLED by 0|None assigned|0:0")
    note_event(tmp_path, "8", "exit", code=137, node="node1")
    views = slurm_views(["8", "9"], tmp_path)
    assert (views["8"].word, views["8"].exit_code) == ("OUT_OF_MEMORY", 137)
    assert (views["9"].word, views["9"].node) == ("CANCELLED", "")


@pytest.mark.parametrize(
    ("elapsed", "why"), [(10, "preempted"), (3000, "preempted"), (3430, "timeout")]
)
def test_a_timeout_is_told_from_a_preemption(elapsed: float, why: str) -> None:
    assert reason_to_stop(elapsed, timeout_s=3600, signal_delay_s=120) == why
