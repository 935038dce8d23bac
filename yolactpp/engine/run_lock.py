"""One process at a time in a run's folder: a POSIX lock, which the kernel frees on any death.

Record locks are not inherited by data-loading workers, so a killed run's workers cannot hold on.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)

POLL_S = 0.5


class RunLock:
    """Exclusive hold on a run's folder, for use in a `with` statement; waits for its turn.

    Args:
        folder: the run's folder.
        timeout_s: give up after this long; None waits for ever.

    Raises:
        TimeoutError: another process held it all the time.
    """

    def __init__(self, folder: Path, timeout_s: float | None = None) -> None:
        self.path = folder / ".lock"
        self.timeout_s = timeout_s
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._wait(self._descriptor)
        except BaseException:
            os.close(self._descriptor)
            raise
        holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, holder, 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _wait(self, descriptor: int) -> None:
        started = time.monotonic()
        announced = False
        while not _try_lock(descriptor):
            if self.timeout_s is not None and time.monotonic() - started >= self.timeout_s:
                raise TimeoutError(f"{self.path.parent} is in use by {self._holder(descriptor)}")
            if not announced:
                log.info(
                    "%s is in use by %s; waiting for it",
                    self.path.parent,
                    self._holder(descriptor),
                )
                announced = True
            time.sleep(POLL_S)

    def _holder(self, descriptor: int) -> str:
        """Read through the open descriptor: closing another one would free a lock of our own."""
        try:
            holder = json.loads(os.pread(descriptor, 4096, 0))
            return f"process {holder['pid']} on {holder['host']}"
        except (ValueError, KeyError):
            return "another process"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
