"""Real training on a real SLURM: preemption, two nodes, the plugin, an unchanged resubmission."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from sweeps.state import Standing
from tests.sweeps.cluster import TINY, cluster_for_tests, eventually, run, settled, states
from yolactpp.run_dir import RunDir, read_jsonl

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]
SUBMIT = ("-m", "sweeps", "submit", "-", "hydra/launcher=slurm_cpu", "timeout_min=30")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    yield from cluster_for_tests()


def weights(run_dir: RunDir) -> dict[str, torch.Tensor]:
    return torch.load(run_dir.last_checkpoint, weights_only=True)["model"]


def places(tmp_path: Path, name: str) -> tuple[str, ...]:
    return (f"outputs={tmp_path / name}", f"data_root={tmp_path / 'data'}", f"sweep.name={name}")


def only_run(tmp_path: Path, name: str) -> RunDir:
    (path,) = [each.parent for each in (tmp_path / name / name).glob("*/config.yaml")]
    return RunDir(path)


def python(*arguments: str) -> str:
    return run(sys.executable, *arguments).stdout


def test_a_preempted_run_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    settings = (*TINY, "schedule.iterations=60", "schedule.validate_every=30")
    node1 = ("+hydra.launcher.additional_parameters.nodelist=node1", "cpus_per_task=2")
    python(*SUBMIT, *settings, *node1, *places(tmp_path, "disturbed"))
    disturbed = only_run(tmp_path, "disturbed")
    eventually(lambda: len(read_jsonl(disturbed.metrics)) >= 2)
    high = ("--partition=high", "--nodelist=node1", "--cpus-per-task=2", "--output=/dev/null")
    run("sbatch", *high, "--wrap=sleep 1")
    sweep = tmp_path / "disturbed" / "disturbed"
    eventually(lambda: next(iter(states(sweep).values())).requeues == 1)
    python("-m", "yolactpp.train", *settings, *places(tmp_path, "undisturbed"))
    (state,) = settled(sweep, 180).values()
    assert (state.standing, state.requeues) == (Standing.FINISHED, 1)
    undisturbed = only_run(tmp_path, "undisturbed")
    assert disturbed.path.name == undisturbed.path.name
    one, other = weights(disturbed), weights(undisturbed)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert disturbed.segm_predictions.read_text() == undisturbed.segm_predictions.read_text()


def test_two_nodes_train_and_evaluate_as_one_process(tmp_path: Path) -> None:
    settings = (*TINY, "schedule.iterations=4", "protocol.freeze_batch_norm_below=64")
    python(*SUBMIT, "nodes=2", *settings, *places(tmp_path, "two"))
    python("-m", "yolactpp.train", *settings, *places(tmp_path, "one"))
    (state,) = settled(tmp_path / "two" / "two").values()
    assert state.standing is Standing.FINISHED, state.note
    two, one = only_run(tmp_path, "two"), only_run(tmp_path, "one")
    first, second = weights(one), weights(two)
    for name, tensor in first.items():
        np.testing.assert_allclose(second[name], tensor, rtol=1e-3, atol=1e-5, err_msg=name)
    losses = [read_jsonl(each.metrics)[0]["total"] for each in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    images = {each["image_id"] for each in json.loads(two.segm_predictions.read_text())}
    assert images == {each["image_id"] for each in json.loads(one.segm_predictions.read_text())}


def test_the_plugin_and_the_sweep_system_find_each_others_runs(tmp_path: Path) -> None:
    settings = (*TINY, "schedule.iterations=2", "seed=0,1", *places(tmp_path, "light"))
    launcher = ("hydra/launcher=slurm_cpu", "hydra.launcher.timeout_min=30")
    python("-m", "yolactpp.train", "-m", *launcher, *settings)
    found = settled(tmp_path / "light" / "light")
    assert {str(state.standing) for state in found.values()} == {"finished"}
    assert len(found) == 2
    said = python(*SUBMIT, *settings)
    assert "0 of 2 runs queued" in said
    assert "2 finished" in said
