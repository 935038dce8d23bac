"""Speed is the median over the counted batches, in stages."""

import time
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from yolactpp.evaluation.speed import measure_speed
from yolactpp.structures import Detections, Stopwatch


class Sleeper:
    """A segmenter whose first three batches are slow; each stage sleeps for a known time."""

    def __init__(self) -> None:
        self.batches = 0

    def detect(
        self, images_B3HW: torch.Tensor, sizes_hw: Any, stopwatch: Stopwatch | None = None
    ) -> list[Detections]:
        assert stopwatch is not None
        assert len(images_B3HW) == len(sizes_hw)
        assert torch.is_inference_mode_enabled()
        self.batches += 1
        with stopwatch("forward"):
            time.sleep(0.05 if self.batches <= 3 else 0.006)
        with stopwatch("masks"):
            time.sleep(0.003)
        return []


def preprocess() -> tuple[torch.Tensor, list[tuple[int, int]]]:
    time.sleep(0.002)
    return torch.zeros(4, 3, 8, 8), [(8, 8)] * 4


def test_medians_without_the_warm_up() -> None:
    sleeper = Sleeper()
    speed = measure_speed(sleeper, preprocess, device="cpu", warm_up=3, repeats=7)  # type: ignore[arg-type]
    assert sleeper.batches == 10
    assert speed["stages_ms"].keys() == {"preprocess", "forward", "masks"}
    assert 6 <= speed["stages_ms"]["forward"] < 50
    assert 11 <= speed["p50_ms"] <= speed["p95_ms"]
    assert speed["fps"] == pytest.approx(4e3 / speed["p50_ms"])
    assert speed["fps_without_masks"] > speed["fps"]
    assert (speed["batch_size"], speed["device"], speed["dtype"]) == (4, "cpu", "fp32")
    assert speed["repeats"] == 7


def test_the_precision_context_is_entered_each_time() -> None:
    entered = []

    @contextmanager
    def autocast():
        entered.append(True)
        yield

    measure_speed(Sleeper(), preprocess, device="cpu", warm_up=0, repeats=2, autocast=autocast)  # type: ignore[arg-type]
    assert len(entered) == 2


def test_at_least_one_repeat() -> None:
    with pytest.raises(ValueError, match="repeats=0"):
        measure_speed(Sleeper(), preprocess, device="cpu", repeats=0)  # type: ignore[arg-type]
