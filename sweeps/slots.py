"""Slots of this machine: whole GPUs, shares of one GPU, or CPU slots; taken by file locks.

The locks are the machine's, not a sweep's: pools of several sweeps never give out the same slot.
A running job holds its slot's lock itself, so a slot stays taken when its pool is killed and is
free again the moment the job has ended, however it ended.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sweeps.resources import Resources


@dataclass(frozen=True)
class Slot:
    """A place to run: the GPUs to see (none on a CPU slot) and the locks that keep it."""

    gpus: tuple[str, ...]
    locks: tuple[int, ...]  # open file descriptors, to be handed to the job

    def close(self) -> None:
        """Let go of the locks; a job that was handed them still holds the slot."""
        for lock in self.locks:
            os.close(lock)


def find_gpus() -> list[str]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them; none asks for CPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.split()


def count_cpu_slots(resources: Resources) -> int:
    """CPU slots of this machine; one for every two cores unless it is set."""
    return resources.cpu_slots or max(1, len(os.sched_getaffinity(0)) // 2)


def take_slot(resources: Resources, gpus: list[str]) -> Slot | None:
    """A free slot for one run, or None while all are taken."""
    if not gpus or resources.gpus_per_node == 0:
        for number in range(count_cpu_slots(resources)):
            lock = _lock(f"cpu{number}", fcntl.LOCK_EX)
            if lock is not None:
                return Slot((), (lock,))
        return None
    wanted = resources.gpus_per_node or 1
    if wanted > len(gpus):
        raise ValueError(f"gpus_per_node={wanted}: this machine has {len(gpus)}")
    taken: list[str] = []
    locks: list[int] = []
    for gpu in gpus:
        held = _lock_gpu(gpu, resources.runs_per_gpu)
        if held:
            taken.append(gpu)
            locks.extend(held)
        if len(taken) == wanted:
            return Slot(tuple(taken), tuple(locks))
    Slot((), tuple(locks)).close()
    return None


def _lock_gpu(gpu: str, shares: int) -> list[int]:
    """A whole GPU, or one share of it; a share keeps others from taking the whole."""
    if shares == 1:
        whole = _lock(f"gpu{gpu}", fcntl.LOCK_EX)
        return [] if whole is None else [whole]
    together = _lock(f"gpu{gpu}", fcntl.LOCK_SH)
    if together is None:
        return []
    for share in range(shares):
        own = _lock(f"gpu{gpu}-{share}", fcntl.LOCK_EX)
        if own is not None:
            return [together, own]
    os.close(together)
    return []


def _lock(name: str, kind: int) -> int | None:
    folder = Path(
        os.environ.get("YOLACTPP_SLOTS")
        or Path(tempfile.gettempdir()) / f"yolactpp-slots-{os.getuid()}"
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / name.replace("/", "_"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
