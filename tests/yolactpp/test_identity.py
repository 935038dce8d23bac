import copy
import json
from pathlib import Path
from typing import Any

import pytest

from yolactpp.identity import dataset_fingerprint, dataset_root, folder_name, run_id, run_name

CONFIG: dict[str, Any] = {
    "seed": 0,
    "batch_size": {"total": 16, "accumulate": 1},
    "loss": {"name": "bce", "_target_": "losses.BCE"},
    "dataset": {"name": "nuclei", "root": "data/nuclei", "fingerprint": "abc", "image_size": 256},
    "runtime": {"device": "cpu", "workers": 2},
    "logger": {"name": "tensorboard"},
    "outputs": "outputs",
    "sweep": {"name": "runs"},
    "run": None,
    "data_root": "data",
}


def changed(path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    node = config
    *parents, last = path.split(".")
    for parent in parents:
        node = node[parent]
    node[last] = value
    return config


def test_the_id_does_not_depend_on_order() -> None:
    assert run_id(dict(reversed(CONFIG.items()))) == run_id(CONFIG)
    assert len(run_id(CONFIG)) == 8
    int(run_id(CONFIG), 16)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("runtime.device", "cuda"),
        ("runtime.workers", 0),
        ("logger.name", "wandb"),
        ("outputs", "elsewhere"),
        ("sweep.name", "table3"),
        ("dataset.root", "elsewhere/nuclei"),
        ("data_root", "elsewhere"),
        ("run", "outputs/x"),
    ],
)
def test_what_cannot_change_a_result_does_not_change_the_id(path: str, value: Any) -> None:
    assert run_id(changed(path, value)) == run_id(CONFIG)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 1),
        ("batch_size.total", 8),
        ("loss.name", "mse"),
        ("dataset.fingerprint", "abd"),
        ("dataset.image_size", 128),
    ],
)
def test_what_can_change_a_result_changes_the_id(path: str, value: Any) -> None:
    assert run_id(changed(path, value)) != run_id(CONFIG)


def test_a_whole_number_is_the_same_however_it_is_written() -> None:
    first = changed("loss", {"name": "mse_bce", "alpha": 1, "delta": [2]})
    second = changed("loss", {"name": "mse_bce", "alpha": 1.0, "delta": [2.0]})
    assert run_id(first) == run_id(second)
    assert run_id(changed("loss", {"name": "mse_bce", "alpha": 1.5, "delta": [2]})) != run_id(first)


def test_names_read_well() -> None:
    assert run_name(CONFIG) == "bce-b16-s0"
    hybrid = {"name": "mse_bce", "alpha": 0.5, "beta": 1.0, "first": {"name": "mse"}}
    assert run_name(changed("loss", hybrid)) == "mse_bce-a0.5-b16-s0"
    assert run_name(changed("loss", hybrid | {"beta": 2})) == "mse_bce-a0.5-be2-b16-s0"
    scheduled = {"_target_": "losses.Linear", "start": 1.0, "end": 0.01}
    assert run_name(changed("loss", hybrid | {"alpha": scheduled})) == "mse_bce-b16-s0"
    assert folder_name(CONFIG) == f"bce-b16-s0-{run_id(CONFIG)}"


def test_a_fingerprint_follows_the_annotations_not_the_place(tmp_path: Path) -> None:
    datasets = []
    for place in ("here", "there"):
        for split in ("train", "val"):
            (tmp_path / place / split).mkdir(parents=True)
            (tmp_path / place / split / "a.json").write_text(json.dumps({"split": split}))
        datasets.append(
            {
                "root": str(tmp_path / place),
                "train": {"annotations": "train/a.json"},
                "val": {"annotations": "val/a.json"},
            }
        )
    before = dataset_fingerprint(datasets[0])
    assert dataset_fingerprint(datasets[1]) == before
    (tmp_path / "there/val/a.json").write_text("{}")
    assert dataset_fingerprint(datasets[1]) != before


def test_a_generated_set_is_its_generators_settings() -> None:
    generator = {"seed": 0, "version": 1, "train_images": 10}
    first = dataset_fingerprint({"root": "a", "generator": generator})
    assert dataset_fingerprint({"root": "b", "generator": dict(generator)}) == first
    assert dataset_fingerprint({"root": "a", "generator": generator | {"seed": 1}}) != first


def test_a_generated_set_lies_in_a_folder_of_its_settings() -> None:
    generated = {"root": "data/butts", "generator": {"seed": 0}}
    root = dataset_root(generated)
    assert root == f"data/butts-{dataset_fingerprint(generated)[:8]}"
    assert dataset_root({**generated, "root": root}) == root
    assert dataset_root({**generated, "generator": {"seed": 1}}) != root
    assert dataset_root({"root": "data/nuclei", "generator": None}) == "data/nuclei"
