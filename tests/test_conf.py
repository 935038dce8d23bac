"""Every option of every group composes, passes the checks, and what it describes is built."""

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from yolactpp import build
from yolactpp.data.synthetic_butts import SyntheticButts
from yolactpp.engine.trainer import Cadence
from yolactpp.identity import run_id
from yolactpp.run_dir import RunDir
from yolactpp.settings import check_settings, schedule_of
from yolactpp.train import resolve

CONF = Path(__file__).parent.parent / "conf"
ROOTS = {"train", "evaluate"}
MADE_OF_NODE = ("loss", "box_loss", "class_loss", "augmentation")


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def settings(*overrides: str) -> dict[str, Any]:
    return copy.deepcopy(_composed(overrides))


@lru_cache(maxsize=256)
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    """Composed once for all tests that look at the same option: each takes a fifth of a second."""
    with initialize_config_module("conf", version_base="1.3"):
        return resolve(compose("train", list(overrides)))


def choose(group: str, option: str) -> str:
    return f"{group}='{option}'"


GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and any(path.glob("*.yaml")))
PLAIN = [group for group in GROUPS if group not in {"sweep", "hydra", "experiment"}]


@pytest.mark.parametrize(
    ("group", "option"), [(group, option) for group in PLAIN for option in options(group)]
)
def test_every_option_composes_and_is_accepted(group: str, option: str) -> None:
    config = settings(choose(group, option))
    check_settings(config)
    assert len(run_id(config)) == 8


@pytest.mark.parametrize("option", options("experiment"))
def test_every_experiment_composes(option: str) -> None:
    config = settings(f"experiment={option}")
    check_settings(config)


@pytest.mark.parametrize("option", options("sweep"))
def test_every_sweep_composes(option: str) -> None:
    config = settings(f"+sweep={option}")
    assert config["sweep"]["name"]


@pytest.mark.parametrize(
    ("group", "option"), [(group, option) for group in MADE_OF_NODE for option in options(group)]
)
@pytest.mark.filterwarnings("ignore::losses.regression.HuberIsHalfMse")
def test_every_part_is_built(group: str, option: str) -> None:
    config = settings(choose(group, option))
    made = build.build_mask_loss(config) if group == "loss" else build.make(config[group])
    assert callable(made)


@pytest.mark.parametrize("option", options("model"))
def test_every_model_is_built(option: str) -> None:
    config = settings(f"model={option}", "model.backbone.weights=null", "image_size=256")
    with torch.device("meta"):
        segmenter = build.build_segmenter(config, 1)
    assert sum(parameter.numel() for parameter in segmenter.parameters()) > 1000


@pytest.mark.parametrize("option", options("schedule"))
def test_every_schedule_is_built(option: str) -> None:
    config = settings(choose("schedule", option))
    schedule = schedule_of(config)
    assert schedule.iterations == config["schedule"]["iterations"]
    assert isinstance(build.build_cadence(config), Cadence)


@pytest.mark.parametrize("option", options("logger"))
def test_every_logger_is_built_without_its_package(option: str, tmp_path: Path) -> None:
    writers = build.build_writers(settings(choose("logger", option)), RunDir(tmp_path))
    assert len(writers) == (0 if option == "jsonl" else 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", options("dataset"))
def test_every_data_set_has_splits_or_a_generator(option: str) -> None:
    dataset = settings(choose("dataset", option))["dataset"]
    assert {"images", "annotations"} <= dataset["train"].keys() & dataset["val"].keys()
    if dataset["generator"] is not None:
        assert isinstance(build.make(dataset["generator"]), SyntheticButts)


def test_the_paper_s_setting() -> None:
    config = settings("experiment=paper", "loss=mse_bce", "loss.alpha=0.5")
    assert config["dataset"]["name"] == "cigarettes"
    assert config["model"]["name"] == "yolactpp_r101"
    assert config["batch_size"]["total"] == 16
    assert config["image_size"] == 512
    assert config["augmentation"]["expand_probability"] == 0.5
    schedule = schedule_of(config)
    assert (schedule.iterations, schedule.lr) == (4000, 1e-3)
    rescaled = schedule_of(settings("experiment=paper", "protocol=survey_code"))
    assert (rescaled.iterations, rescaled.lr) == (2000, 2e-3)


def test_machine_settings_are_no_part_of_identity() -> None:
    same = {
        run_id(settings(*overrides))
        for overrides in (
            [],
            ["runtime.workers=7", "runtime.device=cpu"],
            ["logger=jsonl", "outputs=elsewhere", "data_root=there", "sweep.name=other"],
        )
    }
    assert len(same) == 1
    assert run_id(settings("schedule.lr=0.5")) not in same


@pytest.mark.parametrize("root", sorted(ROOTS))
def test_hydra_leaves_no_folders_of_its_own(root: str) -> None:
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose(root, ["run=somewhere"], return_hydra_config=True)
    assert cfg.hydra.output_subdir is None
    assert cfg.hydra.job.chdir is False
    assert "now" not in str(OmegaConf.to_container(cfg.hydra.run, resolve=False))


def test_every_option_is_a_mapping_with_a_comment_or_a_name() -> None:
    for path in CONF.rglob("*.yaml"):
        assert isinstance(yaml.safe_load(path.read_text()), dict), path
