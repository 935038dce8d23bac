"""A generated data set is made once, whole or not at all."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from yolactpp.data.annotation_file import DatasetError
from yolactpp.data.generated import ensure_dataset


class Slow:
    """Counts its makings in a file beside the data set."""

    def __init__(self, folder: Path, seed: int = 0, wait_s: float = 0.0) -> None:
        self.tally = folder / "tally"
        self.seed = seed
        self.wait_s = wait_s

    def settings(self) -> dict:
        return {"seed": self.seed}

    def make(self, folder: Path) -> None:
        with self.tally.open("a") as file:
            file.write("made\n")
        (folder / "first").write_text("1")
        time.sleep(self.wait_s)
        (folder / "second").write_text("2")

    def makings(self) -> int:
        return len(self.tally.read_text().split())


class Broken(Slow):
    def make(self, folder: Path) -> None:
        super().make(folder)
        raise RuntimeError("no more")


def test_made_once(tmp_path):
    generator = Slow(tmp_path)
    root = tmp_path / "data" / "set"
    assert ensure_dataset(root, generator) == root
    assert ensure_dataset(root, generator) == root
    assert generator.makings() == 1
    assert json.loads((root / "generator.json").read_text()) == {"seed": 0}
    assert {path.name for path in root.iterdir()} == {"first", "second", "generator.json"}


def test_another_content_is_left_alone(tmp_path):
    root = tmp_path / "set"
    ensure_dataset(root, Slow(tmp_path))
    with pytest.raises(DatasetError, match=r"set holds something else .*move it away"):
        ensure_dataset(root, Slow(tmp_path, seed=1))
    assert json.loads((root / "generator.json").read_text()) == {"seed": 0}
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "mine").write_text("precious")
    with pytest.raises(DatasetError, match=r"foreign holds something else"):
        ensure_dataset(foreign, Slow(tmp_path))
    assert [path.name for path in foreign.iterdir()] == ["mine"]
    assert Slow(tmp_path).makings() == 1


def test_failing_maker_leaves_nothing(tmp_path):
    root = tmp_path / "set"
    with pytest.raises(RuntimeError, match="no more"):
        ensure_dataset(root, Broken(tmp_path))
    assert not root.exists()
    assert ensure_dataset(root, Slow(tmp_path)) == root


def test_several_processes_make_it_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    generator = Slow(tmp_path, wait_s=0.3)
    processes = [
        context.Process(target=ensure_dataset, args=(tmp_path / "set", generator)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert generator.makings() == 1


def test_killed_maker_leaves_nothing_that_looks_complete(tmp_path):
    context = multiprocessing.get_context("spawn")
    root = tmp_path / "set"
    process = context.Process(target=ensure_dataset, args=(root, Slow(tmp_path, wait_s=60)))
    process.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / ".set.part" / "first").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not root.exists()
    generator = Slow(tmp_path)
    assert ensure_dataset(root, generator) == root
    assert (root / "second").exists()
    assert not (tmp_path / ".set.part").exists()
