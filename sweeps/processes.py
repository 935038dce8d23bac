"""Processes of this machine that outlive who started them: are they still the same, still there?"""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ProcessMark:
    """A process for good: its id, when it started, on which host since which boot."""

    pid: int
    started: str
    host: str
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """The mark of a living process of this machine."""
        return cls(pid, _start_of(pid) or "", socket.gethostname(), boot_id())

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> ProcessMark:
        """What `as_json` gave."""
        return cls(**content)

    def as_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @property
    def is_here(self) -> bool:
        """Whether it is this machine's, so that it can be looked at."""
        return self.host == socket.gethostname()

    def is_alive(self) -> bool:
        """Whether exactly this process still runs here; a reused id does not count."""
        return self.boot == boot_id() and bool(self.started) and _start_of(self.pid) == self.started

    def end(self, number: int = signal.SIGTERM) -> None:
        """Signal the process' group, which the pool gave it; nothing happens if it is gone."""
        if self.is_here and self.is_alive():
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return


def boot_id() -> str:
    """Changes with every boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_of(pid: int) -> str | None:
    """Start time in clock ticks since boot; None for no process, or one that only waits to go."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]
