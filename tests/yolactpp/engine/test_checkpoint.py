import errno
import logging
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolactpp.engine.checkpoint import (
    load_checkpoint,
    load_latest,
    previous_of,
    save_checkpoint,
)
from yolactpp.engine.failures import CheckpointError
from yolactpp.engine.seed import (
    generator_state,
    preserved_generators,
    restore_generators,
    seed_everything,
)


def content(value: float) -> dict[str, Any]:
    return {"model": {"weight": torch.full((64, 64), value)}, "iteration": int(value)}


def saved(folder: Path, *values: float) -> Path:
    path = folder / "checkpoints" / "last.pt"
    for value in values:
        save_checkpoint(path, content(value))
    return path


def test_round_trip_with_weights_only(tmp_path: Path) -> None:
    path = saved(tmp_path, 3.0)
    found = torch.load(path, weights_only=True)
    assert found["iteration"] == 3
    assert torch.equal(found["model"]["weight"], torch.full((64, 64), 3.0))
    assert [each.name for each in path.parent.iterdir()] == ["last.pt"]


def test_the_one_before_is_kept(tmp_path: Path) -> None:
    path = saved(tmp_path, 1.0, 2.0, 3.0)
    assert load_checkpoint(path)["iteration"] == 3
    assert load_checkpoint(previous_of(path))["iteration"] == 2
    assert previous_of(path).name == "last.previous.pt"


def test_best_needs_no_previous(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    for value in (1.0, 2.0):
        save_checkpoint(path, content(value), keep_previous=False)
    assert [each.name for each in tmp_path.iterdir()] == ["best.pt"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_falls_back_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, share: float
) -> None:
    path = saved(tmp_path, 1.0, 2.0)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with caplog.at_level(logging.WARNING):
        found = load_latest(path)
    assert found is not None
    assert found["iteration"] == 1
    assert str(path) in caplog.text
    assert "last.previous.pt" in caplog.text


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path, 1.0, 2.0)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.find(np.float32(2.0).tobytes() * 8) + 5] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="checksum"):
        load_checkpoint(path)
    found = load_latest(path)
    assert found is not None
    assert found["iteration"] == 1


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path, 1.0, 2.0)
    path.rename(previous_of(path))
    found = load_latest(path)
    assert found is not None
    assert found["iteration"] == 2


def test_no_checkpoint_is_none_and_only_broken_ones_an_error(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    assert load_latest(path) is None
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"last.pt cannot be read.*train from the start"):
        load_latest(path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="no checkpoint of this project"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_full_disk_leaves_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, 1.0, 2.0)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device.*make room"):
        save_checkpoint(path, content(3.0))
    monkeypatch.undo()
    assert load_checkpoint(path)["iteration"] == 2
    assert sorted(each.name for each in path.parent.iterdir()) == ["last.previous.pt", "last.pt"]


def test_generators_go_on_where_they_were(tmp_path: Path) -> None:
    seed_everything(5)
    random.gauss(0, 1)
    np.random.standard_normal()
    save_checkpoint(tmp_path / "last.pt", {"model": {}, "rng": generator_state()})
    expected = (torch.rand(3).tolist(), random.random(), np.random.standard_normal(3).tolist())
    seed_everything(6)
    restore_generators(load_checkpoint(tmp_path / "last.pt")["rng"])
    drawn = (torch.rand(3).tolist(), random.random(), np.random.standard_normal(3).tolist())
    assert drawn == expected


def test_preserved_generators_are_unmoved() -> None:
    seed_everything(1)
    expected = torch.rand(2)
    seed_everything(1)
    with preserved_generators():
        torch.rand(5)
        random.random()
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_named(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed={seed}"):
        seed_everything(seed)
