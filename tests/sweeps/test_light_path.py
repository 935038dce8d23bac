"""`-m` with sweep files, Hydra's own launcher and the plugin's: real runs of two iterations."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.collect import collect
from tests.sweeps.cluster import ROOT, TINY

pytestmark = pytest.mark.slow
SETTINGS = (*(each for each in TINY if "batch_size" not in each), "schedule.iterations=1")


def multirun(tmp_path: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    places = (f"outputs={tmp_path / 'outputs'}", f"data_root={tmp_path / 'data'}")
    return subprocess.run(
        [sys.executable, "-m", "yolactpp.train", "-m", *overrides, *SETTINGS, *places],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.parametrize("launcher", ["basic", "submitit_local"])
def test_a_sweep_file_runs_its_cells(tmp_path: Path, launcher: str) -> None:
    done = multirun(tmp_path, "+sweep=table1", "batch_size=2,4", f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr
    frame = collect(tmp_path / "outputs" / "table1", cache=False)
    assert sorted(frame["batch_size"]) == [2, 4]
    assert set(frame["state"]) == {"finished"}


def test_a_failing_cell_keeps_no_other_from_running(tmp_path: Path) -> None:
    done = multirun(
        tmp_path,
        "+sweep=table1",
        "batch_size=2",
        "batch_size.accumulate=3,1",
        "hydra/launcher=local",
    )
    assert done.returncode != 0
    frame = collect(tmp_path / "outputs" / "table1", cache=False)
    states = dict(zip(frame["batch_size.accumulate"], frame["state"], strict=True))
    assert states[1] == "finished"
    assert states[3] != "finished"


def test_a_misspelt_sweep_lists_the_good_ones(tmp_path: Path) -> None:
    done = multirun(tmp_path, "+sweep=tabel1")
    assert done.returncode == 2
    assert "table1" in done.stderr
