"""`runtime.augment_on`: the same run, whoever computes the pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.yolactpp.tiny_run import tiny_config
from yolactpp import build
from yolactpp.data.augment import TrainItem, TrainTransform
from yolactpp.data.coco import Sample
from yolactpp.engine.distributed import World
from yolactpp.engine.failures import BadInputError
from yolactpp.frozen_run import freeze_run
from yolactpp.run_dir import RunDir, read_json, read_jsonl
from yolactpp.train import train_run

# Rounding grows from step to step, as with every change in the order of additions.
STEPS = 4
TOLERANCE = 1e-3


class Black(TrainTransform):
    """Its pixels are its own."""

    def __call__(self, sample: Sample, rng: np.random.RandomState) -> TrainItem:
        image, *truth = super().__call__(sample, rng)
        return (image * 0, *truth)  # type: ignore[return-value]


def trained(folder: Path, *overrides: str) -> RunDir:
    steps = (f"schedule.iterations={STEPS}", "augmentation=ssd", "model.network.channels=16")
    data = f"data_root={folder.parent}/data"
    run = freeze_run(tiny_config(folder, *steps, data, *overrides))
    train_run(run.path)
    return run


def losses(run: RunDir) -> list[float]:
    return [record["total"] for record in read_jsonl(run.metrics) if "total" in record]


@pytest.mark.parametrize("layout", [(), ("batch_size.accumulate=2", "runtime.channels_last=false")])
def test_losses_are_those_of_the_workers(tmp_path: Path, layout: tuple[str, ...]) -> None:
    workers = trained(tmp_path / "workers", *layout, "runtime.augment_on=workers")
    device = trained(tmp_path / "device", *layout, "runtime.augment_on=device")
    assert workers.path.name == device.path.name
    assert len(losses(workers)) == STEPS
    assert losses(device) == pytest.approx(losses(workers), rel=TOLERANCE)
    assert read_json(device.status)["state"] == "finished"


def test_an_augmentation_of_ones_own_stays_with_the_workers(tmp_path: Path) -> None:
    own = {"_target_": "tests.yolactpp.test_augment_on.Black", "image_size": 64}
    config = {**tiny_config(tmp_path, "runtime.augment_on=device"), "augmentation": own}
    with pytest.raises(BadInputError, match=r"augment_on=device: Black .*choose workers"):
        build.build_loader(config, None, STEPS, World(), torch.device("cpu"))  # type: ignore[arg-type]
