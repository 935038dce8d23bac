import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from torch import Tensor

from tests.golden import load_json, rule_p, rule_x
from tests.yolactpp.model.networks import CONFIG_OF, make_network
from yolactpp.build import build_segmenter, make
from yolactpp.engine.checkpoint import load_checkpoint
from yolactpp.import_weights import import_file, main
from yolactpp.model.architecture import infer_architecture
from yolactpp.model.load_matching import load_matching
from yolactpp.model.original_names import from_original, to_original

KEYS = load_json("state_dict_keys.json")


NARROW = (
    "model.backbone.width=8",
    "model.network.channels=16",
    "model.network.prototype_channels=16",
)


def original_state(model: str, num_classes: int, *overrides: str) -> dict[str, Tensor]:
    """Rule P's tensors under the original's names, for any number of classes."""
    with torch.device("meta"):
        network = make_network(CONFIG_OF[model], num_classes, 550, *overrides)
    shapes = {to_original(key): tuple(t.shape) for key, t in network.state_dict().items()}
    return {key: rule_p(key, shape) for key, shape in shapes.items()}


def write(state: dict[str, Tensor], path: Path) -> Path:
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def fork_state() -> dict[str, Tensor]:
    """A fork's file: nine classes, one of them real; narrow, so that the tests are fast."""
    return original_state("yolact_plus_resnet50", 9, *NARROW)


@pytest.mark.parametrize("model", sorted(KEYS))
def test_golden_names_map_both_ways(model: str) -> None:
    for key in KEYS[model]["entries"]:
        assert to_original(from_original(key)) == key


@pytest.mark.parametrize("model", sorted(KEYS))
def test_golden_architecture_is_inferred(model: str) -> None:
    config, classes = model.removesuffix("_classes").split("@")
    state = {
        from_original(key): torch.empty(shape, device="meta")
        for key, shape in KEYS[model]["entries"].items()
    }
    found = infer_architecture(state)
    assert found.model == CONFIG_OF[config]
    assert found.num_classes == int(classes)
    assert "model.backbone.weights" not in " ".join(found.overrides())


def test_rule_of_deformable_blocks_is_found() -> None:
    with torch.device("meta"):
        network = make_network("yolactpp_r101", 81, 550)
    found = infer_architecture(network.state_dict())
    assert found.deformable_blocks == (0, 4, 23, 3)
    assert found.deformable_interval == 3


@pytest.mark.parametrize("model", ["yolact_base", "yolact_resnet50"])
def test_plain_yolact_is_recognised(model: str) -> None:
    with torch.device("meta"):
        network = make_network(CONFIG_OF[model], 81, 550)
    found = infer_architecture(network.state_dict())
    assert found.model == CONFIG_OF[model]
    assert found.deformable_blocks == (0, 0, 0, 0)
    assert found.scales == 1
    assert found.mask_iou_channels is None


def test_import_gives_a_checkpoint_that_builds_and_loads(
    fork_state: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stray = {
        "backbone.layer1.0.conv1.weight": torch.zeros(1),
        "fpn.downsample_layers.2.weight": torch.zeros(1),
    }
    path = write({**fork_state, **stray}, tmp_path / "fork.pth")
    assert main([str(path), "--class-names", "butt", "--image-size", "256"]) == 0
    printed = capsys.readouterr().out
    for line in (
        f"{path}: {len(fork_state) + 2} tensors",
        "architecture: yolactpp_r50, 13 deformable layers, 3 anchor scales a level, mask-IoU net",
        "classes: 1 (butt) and 7 phantom",
        f"mapped: {len(fork_state)}",
        "dropped: 2 backbone.layer1.0.conv1.weight fpn.downsample_layers.2.weight",
        "missing: 0",
        f"written: {tmp_path / 'fork.pt'}",
    ):
        assert line in printed.splitlines()
    content = load_checkpoint(tmp_path / "fork.pt")
    assert content["class_names"] == ["butt"]
    assert content["category_ids"] == [1]
    assert content["protocol"]["phantom_classes"] == 7
    segmenter = build_segmenter(settings(content), len(content["class_names"]))
    segmenter.load_state_dict(content["model"])
    for key, value in segmenter.network.state_dict().items():
        assert torch.equal(value, fork_state[to_original(key)])


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(KEYS))
def test_golden_keys_import_at_full_size(model: str, tmp_path: Path) -> None:
    entries = KEYS[model]["entries"]
    original = {key: rule_p(key, tuple(shape)) for key, shape in entries.items()}
    report = import_file(write(original, tmp_path / "original.pth"), tmp_path / "ours.pt")
    assert f"mapped: {len(entries)}\ndropped: 0\nmissing: 0" in report
    imported = load_checkpoint(tmp_path / "ours.pt")["model"]
    assert len(imported) == len(entries)
    for key, tensor in original.items():
        assert torch.equal(imported[f"network.{from_original(key)}"], tensor)


def settings(content: dict[str, Any]) -> dict[str, Any]:
    """What build_segmenter reads besides the checkpoint."""
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("train", overrides=["dataset=coco_json"])
    groups = {
        name: OmegaConf.to_container(config[name], resolve=True)
        for name in ("loss", "box_loss", "class_loss")
    }
    return {**groups, "model": content["model_config"], "protocol": content["protocol"]}


def test_plain_yolact_imports_with_square_anchors(tmp_path: Path) -> None:
    path = write(original_state("yolact_resnet50", 81, *NARROW), tmp_path / "yolact_resnet50.pth")
    report = import_file(path, tmp_path / "out.pt", image_size=138)
    assert "1 anchor scales a level, no mask-IoU net" in report
    content = load_checkpoint(tmp_path / "out.pt")
    assert content["class_names"][:2] == ["person", "bicycle"]
    assert (content["category_ids"][11], len(content["category_ids"])) == (13, 80)
    network = make(content["model_config"]["network"], num_classes=81).eval()
    network.load_state_dict(
        {key.removeprefix("network."): value for key, value in content["model"].items()}
    )
    priors = network(rule_x(1, (1, 3, 138, 138))).priors_P4
    assert torch.equal(priors[:, 2], priors[:, 3])


def test_old_files_without_batch_counters_import(
    fork_state: dict[str, Tensor], tmp_path: Path
) -> None:
    old = {key: value for key, value in fork_state.items() if "num_batches" not in key}
    report = import_file(write(old, tmp_path / "old.pth"), tmp_path / "old.pt", image_size=256)
    missing = next(line for line in report.splitlines() if line.startswith("missing"))
    assert missing.startswith(f"missing: {len(fork_state) - len(old)} backbone.bn1.num_batches")


def test_classes_come_from_an_annotation_file(
    fork_state: dict[str, Tensor], tmp_path: Path
) -> None:
    annotations = tmp_path / "coco.json"
    annotations.write_text(
        json.dumps({"categories": [{"id": 9, "name": "filter"}, {"id": 4, "name": "paper"}]})
    )
    path = write(fork_state, tmp_path / "fork.pth")
    import_file(path, tmp_path / "out.pt", image_size=256, annotations=annotations)
    content = load_checkpoint(tmp_path / "out.pt")
    assert content["class_names"] == ["paper", "filter"]
    assert content["category_ids"] == [4, 9]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"darknet.0.weight": torch.zeros(1)}, [], "only YOLACT and YOLACT++"),
        ({"backbone.pre_conv.weight": torch.zeros(1)}, [], "1 foreign (backbone.pre_conv.weight)"),
        ({"semantic_seg_conv.weight": None}, [], "semantic.weight is missing"),
        ({"fpn.lat_layers.1.bias": None}, [], "1 tensors missing (fpn.lateral.1.bias)"),
        ({"semantic_seg_conv.weight": torch.zeros(3, 16, 1, 1)}, [], "do not go with 81"),
        ({}, ["--class-names", "a,b,c,d,e,f,g,h,i"], "9 classes are named"),
        ({}, ["--annotations", "no.json"], "no.json is no COCO annotation file"),
        ({}, ["--image-size", "128"], "needs 63"),
    ],
)
def test_bad_input_is_one_message(
    fork_state: dict[str, Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Tensor | None],
    arguments: list[str],
    message: str,
) -> None:
    state = {key: value for key, value in {**fork_state, **change}.items() if value is not None}
    path = write(state, tmp_path / "bad.pth")
    assert main([str(path), "--image-size", "256", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "bad.pt").exists()


def test_files_that_are_no_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.pth")]) == 2
    (tmp_path / "text.pth").write_text("weights")
    assert main([str(tmp_path / "text.pth")]) == 2
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    assert main([str(tmp_path / "other.pth")]) == 2
    lines = capsys.readouterr().err.splitlines()
    for line, message in zip(
        lines, ("does not exist", "cannot be read", "no plain state dict"), strict=True
    ):
        assert message in line


def test_fine_tuning_renews_the_class_outputs_alone() -> None:
    coco = make_network("yolactpp_tiny", 81, 128)
    cells = make_network("yolactpp_tiny", 2, 128)
    fresh = {key: value.clone() for key, value in cells.state_dict().items()}
    report = load_matching(cells, coco.state_dict())
    assert sorted(report.reinitialised) == [
        "head.classes.bias",
        "head.classes.weight",
        "mask_iou.layers.6.bias",
        "mask_iou.layers.6.weight",
        "semantic.bias",
        "semantic.weight",
    ]
    assert not report.missing
    assert not report.unused
    for key, value in cells.state_dict().items():
        source = fresh if key in report.reinitialised else coco.state_dict()
        assert torch.equal(value, source[key])
    assert "6 reinitialised: head.classes.weight" in str(report)


def test_weights_of_another_architecture_are_refused() -> None:
    narrow = make_network("yolactpp_tiny", 2, 128, "model.network.channels=32")
    with pytest.raises(ValueError, match=r"another architecture: \d+ tensors of another shape"):
        load_matching(make_network("yolactpp_tiny", 2, 128), narrow.state_dict())
