import json
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps.hand_made import metrics
from tests.test_conf import settings
from yolactpp.engine.model_card import model_card, write_model_card
from yolactpp.run_dir import RunDir, write_json

DOCUMENT: dict[str, Any] = {
    "run_id": "0a1b2c3d",
    "iteration": 300,
    "dataset": {"name": "butts", "split": "val", "images": 64, "annotations": 200},
    "evaluator": "coco",
    "metrics": {"bbox": metrics(0.4), "segm": metrics(0.3)},
    "speed": {"fps": 12.5, "device": "cpu", "dtype": "fp32"},
}
PROVENANCE = {"commit": "abc123", "dirty": True, "versions": {"torch": "2.15.0", "wandb": None}}


def card(tmp_path: Path, *overrides: str, **changes: Any) -> str:
    run = RunDir(tmp_path / "runs" / "bce-b8-s0-0a1b2c3d")
    config = settings(f"data_root={tmp_path}", *overrides)
    return model_card(run, config, {**DOCUMENT, **changes}, PROVENANCE)


def test_it_says_what_was_trained_on_what_and_how_well(tmp_path: Path) -> None:
    text = card(tmp_path, "loss=mse_bce", "loss.alpha=0.5")
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["Data", "Settings", "Results", "Licence", "Use"]
    for line in (
        "# bce-b8-s0-0a1b2c3d",
        "- Data set: synthetic_butts, rendered by this project's generator",
        "- Evaluated on: val/coco_annotations.json: 64 images, 200 annotations",
        "- Mask loss: mse_bce alpha=0.5 beta=1.0",
        "- Class loss: ohem",
        "- Weights at the start: random",
        "- Seed: 0",
        "- Code: commit abc123 with changes",
        "- Packages: torch 2.15.0",
        "| AP | 40.00 | 30.00 |",
        "| AP75 | 32.50 | 22.50 |",
        "| AP_small |  |  |",
        "- Code: Apache-2.0",
        "- Data: rendered by this project's code, no rights of others",
        'predict = yolactpp.load("outputs/runs/bce-b8-s0-0a1b2c3d")',
    ):
        assert line in text.splitlines()
    assert "12.5 images a second on cpu in fp32" in text


def test_no_path_of_the_machine_is_told(tmp_path: Path) -> None:
    assert str(tmp_path) not in card(tmp_path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"licenses": [{"id": 1, "name": "CC BY 4.0"}]}, "its annotation file names CC BY 4.0"),
        ({"licenses": []}, "its annotation file names none; its owner's terms apply"),
        ({}, "its annotation file names none; its owner's terms apply"),
    ],
)
def test_the_data_s_licence_is_the_annotation_file_s(
    tmp_path: Path, content: dict[str, Any], expected: str
) -> None:
    root = tmp_path / "coco_json" / "val"
    root.mkdir(parents=True)
    (root / "coco_annotations.json").write_text(json.dumps(content))
    text = card(tmp_path, "dataset=coco_json", "dataset.name=mine", "dataset.source=a website")
    assert f"- Data: {expected}" in text
    assert "- Data set: mine, a website" in text


def test_pretrained_weights_bring_their_own_terms(tmp_path: Path) -> None:
    text = card(tmp_path, "model=yolactpp_r50")
    assert "- Weights at the start: backbone pre-trained, IMAGENET1K_V1; all else random" in text
    assert "- Backbone: the terms of its pre-trained weights and of ImageNet apply" in text


def test_several_classes_are_told_apart(tmp_path: Path) -> None:
    both = {"per_class": {"butt": {"AP": 0.25}, "leaf": {"AP": None}}}
    found = {"bbox": {**metrics(0.4), **both}, "segm": {**metrics(0.3), **both}}
    lines = card(tmp_path, metrics=found).splitlines()
    assert "| butt | 25.00 | 25.00 |" in lines
    assert "| leaf |  |  |" in lines


def test_it_is_written_into_the_run(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "runs" / "bce-b8-s0-0a1b2c3d")
    run.path.mkdir(parents=True)
    write_json(run.run, PROVENANCE)
    write_model_card(run, settings(), DOCUMENT)
    assert run.model_card.name == "model_card.md"
    assert "abc123" in run.model_card.read_text()
