"""Frames per second of a model and where its milliseconds go."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from yolactpp.engine.precision import Precision
from yolactpp.structures import Segmenter

WARM_UP = 3
LEAST_REPEATS = 10
LEAST_S = 0.5


class StageClock:
    """A stopwatch that adds up the time of each named stage, the device's work included."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        wait_for(self.device)
        started = time.perf_counter()
        yield
        wait_for(self.device)
        self.seconds[stage] += time.perf_counter() - started


def measure_speed(
    segmenter: Segmenter,
    images_B3HW: Tensor,
    sizes_hw: list[tuple[int, int]],
    precision: Precision,
) -> dict[str, Any]:
    """`speed` of eval.json: detection of one batch over and over, after a warm-up.

    Args:
        segmenter: in evaluation mode.
        images_B3HW: a batch on the model's device.
        sizes_hw: the original images' sizes.
        precision: autocast of the forward pass.
    """
    device = images_B3HW.device
    clock = StageClock(device)
    with torch.inference_mode(), precision.autocast():
        for _ in range(WARM_UP):
            segmenter.detect(images_B3HW, sizes_hw)
        repeats = 0
        started = time.perf_counter()
        while repeats < LEAST_REPEATS or time.perf_counter() - started < LEAST_S:
            segmenter.detect(images_B3HW, sizes_hw, clock)
            repeats += 1
        wait_for(device)
        elapsed = time.perf_counter() - started
    return {
        "fps": repeats * len(images_B3HW) / elapsed,
        "batch_size": len(images_B3HW),
        "device": device_name(device),
        "dtype": precision.name,
        "stages_ms": {name: 1000 * s / repeats for name, s in clock.seconds.items()},
    }


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def wait_for(device: torch.device) -> None:
    """Let a GPU finish what it was given; a clock would otherwise stop too early."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
