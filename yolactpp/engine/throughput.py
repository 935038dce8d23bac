"""Images per second and the time left, smoothed over the last seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 50


class Throughput:
    """Measures steps; time spent between `pause` and the next step is left out.

    Args:
        images_per_step: images of all ranks in one step.
        clock_s: a clock in seconds.
    """

    def __init__(self, images_per_step: int, clock_s: Callable[[], float] = time.perf_counter):
        self._images = images_per_step
        self._clock_s = clock_s
        self._durations_s: deque[float] = deque(maxlen=WINDOW)
        self._last_s: float | None = clock_s()

    def step(self) -> None:
        """A step has ended."""
        now = self._clock_s()
        if self._last_s is not None:
            self._durations_s.append(now - self._last_s)
        self._last_s = now

    def pause(self) -> None:
        """Something other than training follows: do not count the next step's duration."""
        self._last_s = None

    @property
    def images_per_second(self) -> float:
        """0 before the first step."""
        elapsed = sum(self._durations_s)
        return self._images * len(self._durations_s) / elapsed if elapsed > 0 else 0.0

    def eta_s(self, steps_left: int) -> float:
        """Seconds for the remaining steps; 0 before the first step."""
        if not self._durations_s:
            return 0.0
        return steps_left * sum(self._durations_s) / len(self._durations_s)
