"""A whole run small enough for a test: 16 images of 64 px, 12 steps of two images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module

from yolactpp.train import resolve

TINY = (
    "dataset.generator.image_size=64",
    "dataset.generator.train_images=16",
    "dataset.generator.val_images=4",
    "batch_size='2'",
    "schedule.iterations=12",
    "schedule.warmup_iterations=2",
    "schedule.lr_steps=[]",
    "schedule.validate_every=5",
    "schedule.checkpoint_every=3",
    "schedule.log_every=1",
    "evaluation=fast",
    "logger=jsonl",
    "runtime.workers=0",
    "runtime.device=cpu",
    "runtime.progress=none",
)


def tiny_config(folder: Path, *overrides: str) -> dict[str, Any]:
    """Resolved settings of a tiny run with data and outputs in `folder`."""
    places = (f"outputs={folder}/outputs", f"data_root={folder}/data")
    with initialize_config_module("conf", version_base="1.3"):
        return resolve(compose("train", [*TINY, *places, *overrides]))


def environment() -> dict[str, str]:
    """Of a process of its own: what a command called in this one has set is not handed on."""
    inherited = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    return {**inherited, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}


def start(folder: Path, *arguments: str, module: str = "yolactpp.train") -> subprocess.Popen:
    """`python -m yolactpp.train` with the tiny settings in a folder of its own."""
    tiny = TINY if module == "yolactpp.train" else ()
    flags = [each for each in arguments if each.startswith("-")]
    overrides = [each for each in arguments if not each.startswith("-")]
    return subprocess.Popen(
        [sys.executable, "-m", module, *flags, *tiny, *overrides],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen, timeout_s: float = 300.0) -> tuple[int, str]:
    """Exit status and everything that was printed."""
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out + err
