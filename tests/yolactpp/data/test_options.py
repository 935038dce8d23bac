"""The options of conf/dataset and conf/augmentation, composed as the commands compose them."""

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from tests.yolactpp.data import coco_folder
from yolactpp.build import make
from yolactpp.data.augment import TrainTransform
from yolactpp.data.preflight import preflight
from yolactpp.data.synthetic_butts import SyntheticButts
from yolactpp.engine.failures import BadInputError

CONF = Path(__file__).parents[3] / "conf"


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def composed(*overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_module("conf", version_base="1.3"):
        return compose("train", list(overrides))


def settings(*overrides: str) -> dict:
    return OmegaConf.to_container(composed(*overrides), resolve=True)


@pytest.mark.parametrize("option", options("dataset"))
def test_data_sets_hold_the_same_keys(option):
    dataset = settings(f"dataset={option}")["dataset"]
    assert set(dataset) == set(OmegaConf.load(CONF / "dataset" / "coco_json.yaml"))
    assert dataset["name"] == option
    assert dataset["image_size"] >= 128
    assert dataset["generator"] or dataset["source"] or option == "coco_json"


@pytest.mark.parametrize(
    ("option", "images", "size"),
    [("synthetic_butts", 800, 128), ("synthetic_butts_full", 2000, 512)],
)
def test_generators_are_made_from_their_settings(option, images, size):
    config = settings(f"dataset={option}")
    generator = make(config["dataset"]["generator"])
    assert isinstance(generator, SyntheticButts)
    assert (generator.train_images, generator.image_size) == (images, size)
    assert config["image_size"] == size


def test_the_default_generator_is_the_quick_options():
    made = make(settings("dataset=synthetic_butts")["dataset"]["generator"])
    assert made.settings() == SyntheticButts().settings()


@pytest.mark.parametrize("option", options("augmentation"))
def test_augmentations_are_made_from_their_settings(option):
    transform = make(settings(f"augmentation={option}")["augmentation"])
    assert isinstance(transform, TrainTransform)
    assert transform.image_size == 128


def test_protocols_switch_the_crops_pieces():
    rules = {
        protocol: make(
            settings(f"protocol={protocol}", "augmentation=ssd")["augmentation"]
        ).crop_rule
        for protocol in ("sound", "yolact", "survey_code")
    }
    assert [rule.options for rule in rules.values()] == [6, 6, 5]
    assert [rule.enforce_iou for rule in rules.values()] == [True, False, False]
    assert [rule.corner_uniform for rule in rules.values()] == [True, False, False]


def odd_split(root: Path) -> list[str]:
    splits = [f"dataset.{split}.images=images" for split in ("train", "val")]
    files = [f"dataset.{split}.annotations=annotations.json" for split in ("train", "val")]
    return ["dataset=coco_json", f"dataset.root={root}", *splits, *files]


def test_preflight_passes_a_foreign_set(tmp_path, capsys):
    coco_folder.write(tmp_path, coco_folder.content())
    preflight(composed(*odd_split(tmp_path)))
    printed = capsys.readouterr().out
    assert printed.count("3 images, 2 objects of bee, ant, cat; no finding") == 2


def test_preflight_prints_every_finding_and_refuses(tmp_path, capsys):
    content = coco_folder.content()
    content["annotations"][1]["bbox"] = [2, 3, 0, 10]
    content["images"][2]["file_name"] = "nowhere.png"
    coco_folder.write(tmp_path, content)
    with pytest.raises(BadInputError, match="4 findings"):
        preflight(composed(*odd_split(tmp_path)))
    printed = capsys.readouterr().out
    assert printed.count("annotation 2: zero-area box [2, 3, 0, 10]") == 2
    assert printed.count("nowhere.png: no such file") == 2


def test_microscopy_never_zooms_out():
    transform = make(settings("augmentation=microscopy")["augmentation"])
    assert transform.expand_probability == 0
    assert np.isclose(transform.crop_rule.min_side, 0.5)
