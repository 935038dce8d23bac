"""A source through a predictor into writers, batch by batch; what cannot be used is named."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from yolactpp.prediction.frames import Failure, Frame, Source
from yolactpp.prediction.predictor import Predictor
from yolactpp.prediction.writers import Writer

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What became of a source.

    Args:
        images: predicted.
        instances: found in them.
        failures: what could not be used, in order.
        time_s: reading, predicting and writing together.
    """

    images: int = 0
    instances: int = 0
    failures: list[str] = field(default_factory=list)
    time_s: float = 0.0

    def __str__(self) -> str:
        rate = self.images / self.time_s if self.time_s > 0 else 0.0
        failed = f", {len(self.failures)} inputs failed" if self.failures else ""
        return (
            f"{self.images} images, {self.instances} instances in {self.time_s:.1f} s "
            f"({rate:.1f} images/s){failed}"
        )


def predict_source(
    source: Source,
    predictor: Predictor,
    writers: Sequence[Writer],
    *,
    batch_size: int,
    show_bar: bool | None = None,
) -> Outcome:
    """Predict and write a whole source.

    The writers are closed whatever happens, so what was done before Ctrl-C is there to be used.

    Args:
        source: frames, and inputs that gave none.
        predictor: frames to detections.
        writers: take each frame with its detections.
        batch_size: frames that go through the network at once.
        show_bar: a progress bar on standard error; None: if that is a terminal.
    """
    outcome = Outcome()
    start = time.perf_counter()
    with ExitStack() as stack:
        for writer in writers:
            stack.callback(writer.close)
        bar = stack.enter_context(_bar(show_bar))
        task = bar.add_task(source.name, total=source.total)
        for frames, failures in _batches(source.frames, batch_size):
            for failure in failures:
                log.warning("%s", failure.message)
                outcome.failures.append(failure.message)
            if frames:
                found = predictor.detect([frame.image_bgr for frame in frames])
                for frame, detections in zip(frames, found, strict=True):
                    for writer in writers:
                        writer.write(frame, detections)
                    outcome.images += 1
                    outcome.instances += len(detections)
            bar.advance(task, len(frames) + len(failures))
    outcome.time_s = time.perf_counter() - start
    return outcome


def _batches(
    items: Iterable[Frame | Failure], size: int
) -> Iterator[tuple[list[Frame], list[Failure]]]:
    """Up to `size` frames at once, with the failures that lay between them."""
    frames: list[Frame] = []
    failures: list[Failure] = []
    for item in items:
        if isinstance(item, Failure):
            failures.append(item)
        else:
            frames.append(item)
        if len(frames) == size:
            yield frames, failures
            frames, failures = [], []
    if frames or failures:
        yield frames, failures


def _bar(show: bool | None) -> Progress:
    is_shown = sys.stderr.isatty() if show is None else show
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not is_shown,
    )
