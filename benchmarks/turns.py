"""Times pieces of work in turns, so that a busy machine is busy for all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Clock = Callable[[], float]
Work = Callable[[], Any]
# Processor seconds of all threads: what other programs take does not count. On a GPU the work must
# wait for the device itself, and only wall time has a meaning.
CLOCKS: dict[str, Clock] = {"cpu": time.process_time, "wall": time.perf_counter}


def seconds_in_turns(work: Mapping[str, Work], repeats: int, clock: str) -> dict[str, float]:
    """Median seconds of each piece after one turn of warm-up."""
    read = CLOCKS[clock]
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats + 1):
        for name, call in work.items():
            start = read()
            call()
            seconds[name].append(read() - start)
    return {name: statistics.median(each[1:]) for name, each in seconds.items()}


def print_against_first(seconds: Mapping[str, float], images: int) -> None:
    """A row for each piece of work: seconds, images a second, how much faster than the first."""
    first = next(iter(seconds.values()))
    print(f"{'':<34}{'seconds':>10}{'images/s':>10}{'ratio':>8}")
    for name, each in seconds.items():
        print(f"{name:<34}{each:>10.3f}{images / each:>10.2f}{first / each:>8.2f}")
