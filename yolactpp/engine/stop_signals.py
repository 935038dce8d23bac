"""Signals that end a run in good order: the step is finished, a checkpoint written, then it stops.

SIGINT asks for `interrupted`, SIGTERM and SIGUSR2 (submitit's default) for `preempted`. A second
SIGINT interrupts at once. Where another handler was in place, as submitit's that requeues the job,
it is called after the checkpoint.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

REASONS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "preempted",
    signal.SIGUSR2: "preempted",
}


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
            _handle_in_worker(number)
            return
        if number == signal.SIGINT and self._received == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = number
        self._request_stop(REASONS[signal.Signals(number)])


def _handle_in_worker(number: int) -> None:
    """A data-loading worker leaves Ctrl-C to the run and dies from anything else."""
    if number != signal.SIGINT:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
