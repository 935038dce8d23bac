import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.yolactpp.tiny_run import tiny_config
from yolactpp import build
from yolactpp.engine.checkpoint import load_checkpoint, save_checkpoint
from yolactpp.engine.failures import BadInputError
from yolactpp.fine_tuning import start_from
from yolactpp.frozen_run import freeze_run, read_config
from yolactpp.identity import run_id
from yolactpp.run_dir import RunDir, write_json
from yolactpp.train import train_run

SMALL = "model.network.channels=16"


def checkpoint(folder: Path, names: list[str], *overrides: str, **changes: Any) -> Path:
    """A checkpoint of random weights for so many classes."""
    config = tiny_config(folder, SMALL, *overrides)
    torch.manual_seed(1)
    content = {
        "model": build.build_segmenter(config, len(names)).state_dict(),
        "ema": None,
        "iteration": 5,
        "model_config": config["model"],
        "class_names": names,
        "category_ids": list(range(1, len(names) + 1)),
        "image_size": 64,
        "run_id": "0" * 8,
        "protocol": config["protocol"],
    }
    save_checkpoint(folder / "start.pt", content | changes)
    return folder / "start.pt"


def frozen(folder: Path, *overrides: str) -> dict[str, Any]:
    return read_config(freeze_run(tiny_config(folder, *overrides)))


def test_the_content_of_the_file_is_part_of_the_identity(tmp_path: Path) -> None:
    start = checkpoint(tmp_path, ["butt"])
    without = run_id(frozen(tmp_path))
    config = frozen(tmp_path, f"init={start}")
    assert config["init"] == str(start)
    assert run_id(config) != without
    elsewhere = start.rename(tmp_path / "elsewhere.pt")
    assert run_id(frozen(tmp_path, f"init={elsewhere}")) == run_id(config)
    elsewhere.write_bytes(elsewhere.read_bytes() + b" ")
    assert run_id(frozen(tmp_path, f"init={elsewhere}")) not in (run_id(config), without)


def test_a_folder_stands_for_its_last_checkpoint_once_finished(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "before")
    with pytest.raises(BadInputError, match=r"init=.*before: give a checkpoint's file or"):
        frozen(tmp_path, f"init={run.path}")
    run.path.mkdir()
    run.config.write_text("seed: 0\n")
    with pytest.raises(BadInputError, match="this run is not finished"):
        frozen(tmp_path, f"init={run.path}")
    write_json(run.evaluation, {"schema_version": 1, "metrics": {"bbox": {}, "segm": {}}})
    with pytest.raises(BadInputError, match=r"last\.pt is missing"):
        frozen(tmp_path, f"init={run.path}")
    run.checkpoints.mkdir()
    checkpoint(tmp_path, ["butt"]).rename(run.last_checkpoint)
    assert frozen(tmp_path, f"init={run.path}")["init"] == str(run.last_checkpoint)


def test_other_classes_renew_the_class_outputs_and_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    start = checkpoint(tmp_path, ["a", "b", "c"])
    config = frozen(tmp_path, SMALL, f"init={start}")
    torch.manual_seed(2)
    segmenter = build.build_segmenter(config, 1)
    fresh = {name: value.clone() for name, value in segmenter.state_dict().items()}
    start_from(segmenter, config, ["butt"])
    given = load_checkpoint(start)["model"]
    renewed = []
    for name, value in segmenter.state_dict().items():
        if name in given and given[name].shape == value.shape:
            assert torch.equal(value, given[name]), name
        else:
            renewed.append(name)
            assert torch.equal(value, fresh[name]), name
    assert "network.head.classes.weight" in renewed
    assert f"fresh class outputs: {', '.join(renewed)}" in caplog.text


def test_one_class_under_another_name_keeps_its_outputs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = checkpoint(tmp_path, ["nucleus"])
    config = frozen(tmp_path, SMALL, f"init={start}")
    segmenter = build.build_segmenter(config, 1)
    start_from(segmenter, config, ["butt"])
    name = "network.head.classes.weight"
    assert torch.equal(segmenter.state_dict()[name], load_checkpoint(start)["model"][name])
    assert "classes ['nucleus'] are taken for ['butt']" in caplog.text


@pytest.mark.parametrize(
    ("overrides", "fitting"),
    [
        ([], r"choose the model they were trained with: model\.network\.channels=16$"),
        (["model=maskrcnn_tiny"], r"choose the model they were trained with: model=yolactpp_tiny$"),
    ],
)
def test_another_architecture_is_refused_with_the_model_that_fits(
    tmp_path: Path, overrides: list[str], fitting: str
) -> None:
    config = frozen(tmp_path, f"init={checkpoint(tmp_path, ['butt'])}", *overrides)
    with pytest.raises(BadInputError, match=fitting) as caught:
        start_from(build.build_segmenter(config, 1), config, ["butt"])
    assert "weights are of another architecture" in str(caught.value)


def test_tensors_that_the_model_lacks_are_refused(tmp_path: Path) -> None:
    start = checkpoint(tmp_path, ["butt"])
    config = frozen(tmp_path, SMALL, f"init={start}", "model.network.mask_iou_channels=null")
    with pytest.raises(BadInputError, match=r"that the model lacks \(network\.mask_iou") as caught:
        start_from(build.build_segmenter(config, 1), config, ["butt"])
    assert "model.network.mask_iou_channels=[8,16,32]" in str(caught.value)


def test_mask_rcnns_class_outputs_are_renewed(tmp_path: Path) -> None:
    family = ("model=maskrcnn_tiny", f"outputs={tmp_path}")
    start = checkpoint(tmp_path, ["a", "b"], *family)
    config = frozen(tmp_path, SMALL, f"init={start}", *family)
    segmenter = build.build_segmenter(config, 1)
    start_from(segmenter, config, ["butt"])
    shapes = {name: value.shape for name, value in segmenter.state_dict().items()}
    given = load_checkpoint(start)["model"]
    differing = [name for name in given if given[name].shape != shapes[name]]
    assert sum("cls_score" in name for name in differing) == 2
    assert sum("mask_fcn_logits" in name for name in differing) == 2


def test_files_that_cannot_be_started_from(tmp_path: Path) -> None:
    start = checkpoint(tmp_path, ["butt"])
    config = frozen(tmp_path, SMALL, f"init={start}")
    segmenter = build.build_segmenter(config, 1)
    checkpoint(tmp_path, ["other"])
    with pytest.raises(BadInputError, match=r"start\.pt has changed since the run was made"):
        start_from(segmenter, config, ["butt"])
    torch.save({"conv1.weight": torch.zeros(1)}, start)
    with pytest.raises(BadInputError, match=r"yolactpp\.import_weights"):
        start_from(segmenter, config, ["butt"])
    start.unlink()
    with pytest.raises(BadInputError, match=r"start\.pt does not exist"):
        start_from(segmenter, config, ["butt"])


def test_a_run_starts_from_weights_without_fetching_others(tmp_path: Path) -> None:
    start = checkpoint(tmp_path, ["a", "b"])
    overrides = (SMALL, "schedule.iterations=1", "schedule.lr=1e-30", "schedule.warmup_lr=1e-30")
    run = freeze_run(
        tiny_config(tmp_path, *overrides, f"init={start}", "model.backbone.weights=no/such.pth")
    )
    train_run(run.path)
    given, found = load_checkpoint(start)["model"], load_checkpoint(run.last_checkpoint)["model"]
    name = "network.backbone.conv1.weight"
    assert torch.equal(found[name], given[name])
    assert found["network.head.classes.weight"].shape != given["network.head.classes.weight"].shape
    assert "fresh class outputs: network." in run.log.read_text()
    assert json.loads(run.evaluation.read_text())["run_id"] == run.path.name[-8:]
