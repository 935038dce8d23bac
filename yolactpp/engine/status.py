"""status.json: what a run is doing, with a heartbeat from a thread at least every ten seconds."""

from __future__ import annotations

import logging
import os
import socket
import threading
from types import TracebackType
from typing import Any, Self

from yolactpp.run_dir import RunDir, State, update_status

log = logging.getLogger(__name__)

HEARTBEAT_S = 5.0


class RunStatus:
    """Writes a run's status; in a `with` statement also keeps its heartbeat going.

    The training loop only hands over values (`report`); the thread writes them, so that a slow
    disk never slows a step. A state is written at once (`set_state`).

    Args:
        run: the run's files.
        heartbeat_s: seconds between two writes of the thread.
    """

    def __init__(self, run: RunDir, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._run = run
        self._heartbeat_s = heartbeat_s
        self._pending: dict[str, Any] = {}
        self._write_lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def report(self, **values: Any) -> None:
        """Values for the next heartbeat: iteration, losses, images_per_second, eta_s."""
        self._pending = self._pending | values

    def set_state(self, state: State, **values: Any) -> None:
        """Write a state with all values reported so far, at once.

        A disk too full for the few bytes of a status is logged: it must not hide what led here.
        """
        self.report(state=str(state), **values)
        self._write()

    def _beat(self) -> None:
        while not self._stopped.wait(self._heartbeat_s):
            self._write()

    def _write(self) -> None:
        place = {"host": socket.gethostname(), "pid": os.getpid()}
        with self._write_lock:
            try:
                update_status(self._run, **place, **self._pending)
            except OSError as error:
                log.warning("%s could not be written: %s", self._run.status, error)
