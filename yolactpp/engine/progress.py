"""What a run shows while it trains: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)

log = logging.getLogger(__name__)

PLAIN_EVERY_S = 10.0
SHOWN_LOSSES = ("total", "box", "class", "mask", "semantic", "mask_iou")


class ProgressReporter(Protocol):
    """Shows a run's course between `start` and `stop`."""

    def start(self, iteration: int, total: int) -> None: ...

    def update(
        self, iteration: int, losses: Mapping[str, float], images_per_second: float, eta_s: float
    ) -> None: ...

    def stop(self) -> None: ...


class RichProgress:
    """A bar with losses, images per second and the time left."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("train"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
        )
        self._task: TaskID | None = None

    def start(self, iteration: int, total: int) -> None:
        self._task = self._progress.add_task("train", total=total, completed=iteration, figures="")
        self._progress.start()

    def update(
        self, iteration: int, losses: Mapping[str, float], images_per_second: float, eta_s: float
    ) -> None:
        if self._task is not None:
            figures = f"{describe(losses)}  {images_per_second:.1f} img/s  ETA {clock(eta_s)}"
            self._progress.update(self._task, completed=iteration, figures=figures)

    def stop(self) -> None:
        self._progress.stop()


class PlainProgress:
    """A line now and then, for files and pipes.

    Args:
        every_s: least number of seconds between two lines; the first and last are always written.
    """

    def __init__(self, every_s: float = PLAIN_EVERY_S) -> None:
        self.every_s = every_s
        self._total = 0
        self._last_s = float("-inf")

    def start(self, iteration: int, total: int) -> None:  # noqa: ARG002 - as ProgressReporter
        self._total = total
        self._last_s = float("-inf")

    def update(
        self, iteration: int, losses: Mapping[str, float], images_per_second: float, eta_s: float
    ) -> None:
        now = time.monotonic()
        if now - self._last_s < self.every_s and iteration < self._total:
            return
        self._last_s = now
        log.info(
            "%d/%d  %s  %.1f img/s  ETA %s",
            iteration,
            self._total,
            describe(losses),
            images_per_second,
            clock(eta_s),
        )

    def stop(self) -> None:
        pass


class SilentProgress:
    """Nothing, for ranks other than 0."""

    def start(self, iteration: int, total: int) -> None:
        pass

    def update(
        self, iteration: int, losses: Mapping[str, float], images_per_second: float, eta_s: float
    ) -> None:
        pass

    def stop(self) -> None:
        pass


def choose_progress(kind: str) -> ProgressReporter:
    """`bar`, `plain`, `none`, or `auto`: a bar where a terminal looks at standard error.

    Raises:
        ValueError: another kind.
    """
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "plain"
    kinds = {"bar": _terminal_bar, "plain": PlainProgress, "none": SilentProgress}
    if kind not in kinds:
        raise ValueError(f"runtime.progress={kind}: choose auto, {', '.join(kinds)}")
    return kinds[kind]()


def describe(losses: Mapping[str, float]) -> str:
    """The losses worth a glance, total first: `total 3.21  box 0.80`."""
    shown = [name for name in SHOWN_LOSSES if name in losses]
    return "  ".join(f"{name} {losses[name]:.3g}" for name in shown)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 0:02:05."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _terminal_bar() -> ProgressReporter:
    return RichProgress(Console(stderr=True))
