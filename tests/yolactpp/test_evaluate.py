from pathlib import Path
from typing import Any

import pytest
import torch

from tests.test_conf import settings
from tests.yolactpp.tiny_run import TINY, finish, start, tiny_config
from yolactpp import build
from yolactpp.engine.checkpoint import load_checkpoint, save_checkpoint
from yolactpp.engine.failures import BadInputError, CheckpointError
from yolactpp.evaluate import evaluate_run, find_settings, with_replaced
from yolactpp.frozen_run import freeze_run, read_config
from yolactpp.run_dir import RunDir, read_json


@pytest.fixture
def untrained(tmp_path: Path) -> RunDir:
    """A run whose checkpoint holds the initial weights."""
    config = tiny_config(tmp_path, "model.network.channels=16")
    run = freeze_run(config)
    torch.manual_seed(0)
    segmenter = build.build_segmenter(config, 1)
    content = {
        "model": segmenter.state_dict(),
        "ema": None,
        "iteration": 3,
        "model_config": config["model"],
        "class_names": ["cig_butt"],
        "category_ids": [1],
        "image_size": 64,
        "run_id": run.path.name[-8:],
    }
    save_checkpoint(run.last_checkpoint, content)
    return run


def test_a_run_is_evaluated_beside_its_own_result(untrained: RunDir) -> None:
    config = read_config(untrained)
    document = evaluate_run(untrained, config, "last", "again")
    assert document == read_json(untrained.path / "evaluations" / "again.json")
    assert document["iteration"] == 3
    assert document["run_id"] == untrained.path.name[-8:]
    assert not untrained.evaluation.exists()
    assert (untrained.path / "evaluations" / "again" / "segm.json").exists()


def test_a_missing_checkpoint_is_named(untrained: RunDir) -> None:
    with pytest.raises(CheckpointError, match=r"best.pt does not exist"):
        evaluate_run(untrained, read_config(untrained), "best", "again")


def test_another_protocol_reaches_the_detector() -> None:
    frozen = settings()
    given: dict[str, Any] = {
        "dataset": None,
        "evaluation": None,
        "protocol": settings("protocol=yolact")["protocol"],
        "runtime": frozen["runtime"],
    }
    config = with_replaced(frozen, given)
    assert config["protocol"]["name"] == "yolact"
    assert config["model"]["detector"]["integer_boxes"] is True
    assert frozen["model"]["detector"]["integer_boxes"] is False
    assert config["dataset"] == frozen["dataset"]


class Classes:
    annotations_file = Path("val.json")

    def __init__(self, names: list[str], ids: list[int]) -> None:
        self.class_names = names
        self.category_ids = ids


def test_labels_find_their_categories_by_name() -> None:
    other: Any = Classes(["dog", "cat"], [3, 90])
    assert build.categories_of_labels(other, ["cat", "dog"]) == [90, 3]
    assert build.categories_of_labels(other, ["cat"]) == [90]
    with pytest.raises(BadInputError, match=r"classes cow are not in val.json.*dog, cat"):
        build.categories_of_labels(other, ["cow", "dog"])


def test_one_class_under_another_name_is_taken_for_it() -> None:
    only: Any = Classes(["nucleus"], [7])
    assert build.categories_of_labels(only, ["cell"]) == [7]


def test_a_checkpoint_alone_is_evaluated_on_a_data_set(untrained: RunDir, tmp_path: Path) -> None:
    config = read_config(untrained)
    content = load_checkpoint(untrained.last_checkpoint)
    network = {k: v for k, v in content["model"].items() if k.startswith("network.")}
    content |= {"model": network, "protocol": config["protocol"], "run_id": "imported from a.pth"}
    save_checkpoint(tmp_path / "imported.pt", content)
    given = {
        **{key: config[key] for key in ("dataset", "evaluation", "runtime")},
        "protocol": None,
        "checkpoint": "last",
    }
    run, frozen, checkpoint = find_settings(tmp_path / "imported.pt", given)
    assert frozen["model"] == config["model"]
    assert frozen["image_size"] == 64
    document = evaluate_run(run, with_replaced(frozen, given), checkpoint, "butts")
    assert document["run_id"] == "imported from a.pth"
    assert document == read_json(tmp_path / "imported" / "evaluations" / "butts.json")
    with pytest.raises(BadInputError, match=r"imported\.pt is a checkpoint alone: .*dataset="):
        find_settings(tmp_path / "imported.pt", {"checkpoint": "last"})


@pytest.mark.slow
def test_a_checkpoint_alone_from_the_command_line(untrained: RunDir, tmp_path: Path) -> None:
    content = load_checkpoint(untrained.last_checkpoint)
    save_checkpoint(tmp_path / "alone.pt", {**content, "protocol": settings()["protocol"]})
    sizes = [each for each in TINY if each.startswith("dataset.")]
    chosen = ["run=alone.pt", "dataset=synthetic_butts", "runtime.device=cpu", *sizes]
    status, said = finish(start(tmp_path, *chosen, module="yolactpp.evaluate"))
    assert status == 0, said
    assert (tmp_path / "alone" / "evaluations" / "synthetic_butts.json").exists()
    status, said = finish(start(tmp_path, "run=alone.pt", module="yolactpp.evaluate"))
    assert status == 2
    assert "say what to evaluate on, dataset=" in said


def test_a_checkpoint_within_a_run_brings_the_runs_settings(untrained: RunDir) -> None:
    given = {"dataset": None, "checkpoint": "last"}
    run, frozen, checkpoint = find_settings(untrained.last_checkpoint, given)
    assert (run, frozen) == (untrained, read_config(untrained))
    assert checkpoint == str(untrained.last_checkpoint)


def test_phantom_classes_are_the_weights_own(untrained: RunDir) -> None:
    config = read_config(untrained)
    content = load_checkpoint(untrained.last_checkpoint)
    protocol = {**config["protocol"], "phantom_classes": 2}
    torch.manual_seed(0)
    content["model"] = build.build_segmenter({**config, "protocol": protocol}, 1).state_dict()
    save_checkpoint(untrained.last_checkpoint, {**content, "protocol": protocol})
    restored = build.restore_run(untrained, config, torch.device("cpu"))
    assert restored.segmenter.network.head.classes.bias.shape[0] % 4 == 0
