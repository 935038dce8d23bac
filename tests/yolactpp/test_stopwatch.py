"""Stages are timed by name, nested or one after another."""

import time

from yolactpp.stopwatch import StageTimer


def test_every_turn_of_a_stage_is_kept() -> None:
    timer = StageTimer()
    for _ in range(3):
        with timer("whole"), timer("part"):
            time.sleep(0.002)
    assert timer.times_ms.keys() == {"whole", "part"}
    assert len(timer.times_ms["part"]) == 3
    for whole, part in zip(timer.times_ms["whole"], timer.times_ms["part"], strict=True):
        assert whole >= part >= 2
