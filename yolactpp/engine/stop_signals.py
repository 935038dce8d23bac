"""Signals that end a run in good order: the step is finished, a checkpoint written, then it stops.

SIGINT asks for `interrupted`, SIGTERM and SIGUSR2 (submitit's default) for `preempted`. A second
SIGINT interrupts at once. Where another handler was in place, as submitit's that requeues the job,
it is called after the checkpoint.

A scheduler signals every process of a job, data-loading workers included. A worker that died of
that would take the run with it before its checkpoint, so workers live until the run has stopped.
"""

from __future__ import annotations

import mmap
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

REASONS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "preempted",
    signal.SIGUSR2: "preempted",
}
# What a run tells its workers, in a byte that they share.
GOES_ON, STOPS, IS_OVER = range(3)
WORKER_WAITS_S = 30.0


class StopSignals:
    """Turns signals into a request to stop, for use in a `with` statement around training.

    Does nothing outside the main thread, where Python cannot set handlers.

    Args:
        request_stop: called with the reason, from a signal handler.
    """

    def __init__(self, request_stop: Callable[[str], None]) -> None:
        self._request_stop = request_stop
        self._before: dict[int, object] = {}
        self._received: int | None = None
        self._owner = os.getpid()
        self._phase = mmap.mmap(-1, 1)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in REASONS:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._phase[0] = IS_OVER
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def forward(self) -> None:
        """Hand the signal that came to the handler that was there before, if it was a real one."""
        if self._received is None:
            return
        handler = self._before[self._received]
        if callable(handler) and handler is not signal.default_int_handler:
            handler(self._received, None)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            _handle_in_worker(number, self._phase)
            return
        if number == signal.SIGINT and self._received == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = number
        self._phase[0] = STOPS
        self._request_stop(REASONS[signal.Signals(number)])


def _handle_in_worker(number: int, phase: mmap.mmap) -> None:
    """A worker dies of SIGTERM alone, and not of one that the run was sent too and stops for."""
    if number != signal.SIGTERM:
        return
    end = time.monotonic() + WORKER_WAITS_S
    while phase[0] == GOES_ON and time.monotonic() < end:
        time.sleep(0.05)
    if phase[0] != STOPS:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
