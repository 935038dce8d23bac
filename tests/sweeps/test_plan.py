"""Plans: runs once each, their names, their resources, without torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import sweeps
from sweeps.compose import Composer
from sweeps.plan import Plan, changed_resources, plan_resources
from sweeps.resources import Resources, spelled_out
from yolactpp.frozen_run import freeze_run, read_config


@pytest.fixture(scope="module")
def table3(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return sweeps.plan("table3", [f"outputs={tmp_path_factory.mktemp('outputs')}"])


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param("quick", 12, marks=pytest.mark.slow),
        ("table1", 3),
        pytest.param("table2", 8, marks=pytest.mark.slow),
    ],
)
def test_sweep_files_compose(tmp_path: Path, name: str, count: int) -> None:
    plan = sweeps.plan(name, [f"outputs={tmp_path}"])
    assert len(plan.runs) == count
    assert plan.folder == tmp_path / name
    assert not plan.folder.exists()


def test_the_published_hybrids_are_all_there(table3: Plan) -> None:
    from sweeps.published_rows import published_order

    found = {
        (run.config["loss"]["name"], f"{run.config['loss']['alpha']:g}", "1") for run in table3.runs
    }
    assert found == set(published_order("table3"))
    assert len(table3.runs) == 12


def test_seeds_multiply_and_equal_runs_count_once() -> None:
    plan = sweeps.plan("table1", ["seed=0,1,1", "batch_size=8"])
    assert [run.folder.name.rsplit("-", 1)[0] for run in plan.runs] == ["bce-b8-s0", "bce-b8-s1"]


def test_a_sweep_without_a_file_is_its_overrides() -> None:
    plan = sweeps.plan(None, ["loss=bce,mse"])
    assert plan.name == "runs"
    assert [run.config["loss"]["name"] for run in plan.runs] == ["bce", "mse"]


def test_a_planned_run_is_the_run_that_train_would_make(table3: Plan) -> None:
    planned = table3.runs[0]
    frozen = planned.freeze()
    assert frozen.path == planned.folder
    with Composer() as composer:
        config = composer.full(planned.overrides)
    by_hand = freeze_run(OmegaConf.to_container(config, resolve=True), planned.overrides)
    assert by_hand.path == frozen.path
    assert read_config(frozen)["loss"]["alpha"] == 0.5


def test_a_missing_data_set_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dataset cigarettes: .* is missing"):
        sweeps.plan("table1", ["dataset=cigarettes", f"data_root={tmp_path}"])


def test_a_setting_out_of_range_names_the_run() -> None:
    with pytest.raises(ValueError, match=r"seed='?x'?"):
        sweeps.plan(None, ["seed=x,1"])


@pytest.mark.parametrize(
    ("launcher", "expected"),
    [
        ([], {"executor": "local", "gpus": 0, "tasks_per_node": 1}),
        (["hydra/launcher=local"], {"executor": "local", "gpus": 1, "runs_per_gpu": 1}),
        (["hydra/launcher=slurm_1gpu"], {"executor": "slurm", "gpus": 1, "cpus_per_task": 8}),
        (["hydra/launcher=slurm_4gpu"], {"executor": "slurm", "gpus": 4, "tasks_per_node": 4}),
        (["hydra/launcher=slurm_4gpu", "nodes=2"], {"gpus": 8, "nodes": 2}),
        (
            ["hydra/launcher=slurm_cpu", "partition=high", "timeout_min=7"],
            {"gpus": 0, "slurm": {"partition": "high"}, "timeout_min": 7},
        ),
    ],
)
def test_launchers_describe_resources(launcher: list[str], expected: dict) -> None:
    resources = plan_resources(launcher)
    assert {key: getattr(resources, key) for key in expected} == expected
    assert Resources.from_json(resources.as_json()) == resources


def test_a_key_alone_changes_what_a_run_had_and_a_launcher_takes_its_place() -> None:
    had = plan_resources(["hydra/launcher=slurm_4gpu", "partition=high", "timeout_min=60"])
    longer = changed_resources(["timeout_min=2880", "hydra.launcher.qos=long"])(had)
    assert longer == replace(had, timeout_min=2880, slurm={"partition": "high", "qos": "long"})
    assert changed_resources([])(had) == had
    smaller = changed_resources(["hydra/launcher=slurm_1gpu", "timeout_min=5"])(had)
    assert smaller == plan_resources(["hydra/launcher=slurm_1gpu", "timeout_min=5"])
    no_partition = changed_resources(["partition=null", "setup=null"])(had)
    assert no_partition == replace(had, slurm={})
    excluding = replace(had, additional_parameters={"exclude": "node1"})
    longer = changed_resources(["+hydra.launcher.additional_parameters.reservation=r"])(excluding)
    assert longer.additional_parameters == {"exclude": "node1", "reservation": "r"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("hydra.launcher.timeout=5", "hydra.launcher.timeout"),
        ("timeout_min=abc", "abc"),
        ("timeout_min=600,700", "timeout_min"),
        ("hydra.job.chdir=true", "hydra.job.chdir says nothing of a run's resources"),
        ("runs_per_gpu=0", "runs_per_gpu"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed_resources([setting])(plan_resources(["hydra/launcher=slurm_1gpu"]))


@pytest.mark.parametrize(
    ("launcher", "message"),
    [
        ({"_target_": "hydra_plugins.joblib.JoblibLauncher"}, "runs by -m only"),
        ({"_target_": "x.SlurmLauncher", "gpuss": 1}, "additional_parameters"),
        ({"_target_": "x.SlurmLauncher", "nodes": 0}, "nodes=0: at least 1"),
        ({"_target_": "x.LocalLauncher", "nodes": 2}, "use a SLURM launcher"),
    ],
)
def test_resources_that_make_no_sense_are_refused(launcher: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Resources.from_launcher(launcher)


def test_resources_may_be_given_by_bare_names() -> None:
    assert spelled_out(["nodes=2", "seed=1"]) == ["hydra.launcher.nodes=2", "seed=1"]


def test_no_verb_imports_torch(tmp_path: Path) -> None:
    program = (
        "import sys, sweeps, sweeps.retry, sweeps.cancel, sweeps.logs, sweeps.status;"
        "import sweeps.supervisor, sweeps.job, sweeps.search; from pathlib import Path;"
        "from sweeps.submit import submit; from sweeps.state import sweep_states;"
        "from tests.sweeps.fakes import FakeExecutor;"
        f"known = {{'local': FakeExecutor(Path({str(tmp_path / 'queue')!r}))}};"
        f"plan = sweeps.plan('table1', ['outputs={tmp_path}']); submit(plan, known=known);"
        "sweep_states(plan.folder, known); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0
