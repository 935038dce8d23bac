import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.yolactpp.tiny_run import TINY, tiny_config
from yolactpp.engine.distributed import World, choose_device, joined_world
from yolactpp.run_dir import RunDir, find_runs, read_json, read_jsonl

ROOT = Path(__file__).parents[3]
WORKER = Path(__file__).with_name("gradient_worker.py")
# Frozen, as batch norm's statistics are those of each rank's own images.
FROZEN = ("protocol.freeze_batch_norm_below=99", "batch_size.total=4")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_ranks(size: int, command: list[str], folder: Path) -> list[str]:
    """What each rank said; fails where one did."""
    port = str(free_port())
    processes = []
    for rank in range(size):
        variables = {"WORLD_SIZE": str(size), "RANK": str(rank), "LOCAL_RANK": str(rank)}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        processes.append(
            subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env=environment | (variables | address if size > 1 else {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    said = [process.communicate(timeout=300)[0] for process in processes]
    for process, text in zip(processes, said, strict=True):
        assert process.returncode == 0, text
    return said


@pytest.mark.slow
def test_two_ranks_give_the_gradients_of_one(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, *FROZEN)
    config_file = tmp_path / "config.yaml"
    config_file.write_text(yaml.safe_dump(config))
    found: dict[int, Any] = {}
    for size in (1, 2):
        output = tmp_path / f"ranks{size}.pt"
        run_ranks(size, [str(WORKER), str(config_file), str(output)], tmp_path)
        found[size] = torch.load(output)
    one, two = found[1], found[2]
    assert one["gradients"].keys() == two["gradients"].keys()
    assert len(one["moved"]) > 50
    for name, expected in one["gradients"].items():
        error = (two["gradients"][name] - expected).abs().max()
        assert error <= 1e-5 * max(1.0, float(expected.abs().max())), name
    for name, value in one["losses"].items():
        assert two["losses"][name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.slow
def test_two_ranks_train_and_evaluate_as_one(tmp_path: Path) -> None:
    runs: dict[int, RunDir] = {}
    for size in (1, 2):
        folder = tmp_path / str(size)
        folder.mkdir()
        command = ["-m", "yolactpp.train", *TINY, *FROZEN, f"data_root={tmp_path}/data"]
        run_ranks(size, command, folder)
        (runs[size],) = find_runs(folder / "outputs")
    one, two = (read_json(runs[size].evaluation) for size in (1, 2))
    assert one["dataset"] == two["dataset"]
    assert runs[1].path.name == runs[2].path.name
    last = [read_jsonl(runs[size].metrics)[-2] for size in (1, 2)]
    assert last[0]["iteration"] == last[1]["iteration"] == 12
    assert last[1]["total"] == pytest.approx(last[0]["total"], rel=1e-3)
    assert two["metrics"]["segm"]["AP"] == pytest.approx(one["metrics"]["segm"]["AP"], abs=1e-2)
    checkpoint = torch.load(runs[2].last_checkpoint, weights_only=True)
    assert len(checkpoint["rng"]) == 2
    assert len(read_json(runs[2].run)["attempts"]) == 1


def test_one_process_is_a_world() -> None:
    with joined_world("cpu") as world:
        assert (world.rank, world.size, world.is_main) == (0, 1, True)
        assert world.gather("a") == ["a"]
        assert world.broadcast("b") == "b"
        assert world.sum(torch.ones(2)).tolist() == [1.0, 1.0]
    assert not World(rank=1, size=2).is_main


def test_auto_takes_what_there_is() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type == expected
    assert choose_device("cpu") == torch.device("cpu")


def test_a_device_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"runtime.device=abacus: choose auto, cpu"):
        choose_device("abacus")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_here_is_named() -> None:
    with pytest.raises(ValueError, match=r"runtime.device=cuda:0: no CUDA device here"):
        choose_device("cuda:0")
