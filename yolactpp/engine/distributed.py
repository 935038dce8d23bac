"""One process or many: joining the others, and what they exchange.

Started by torchrun (WORLD_SIZE, RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT) or as the tasks of a
submitit job; nccl on GPUs, gloo on CPUs.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

TIMEOUT = datetime.timedelta(minutes=30)


@dataclass(frozen=True)
class World:
    """The processes of a run; of one process unless `joined_world` found more.

    Args:
        rank: this process; 0 writes files.
        size: number of processes.
        objects: a gloo group for Python objects; nccl exchanges only what lies on GPUs.
    """

    rank: int = 0
    size: int = 1
    objects: dist.ProcessGroup | None = None

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all ranks, in place; no gradient passes."""
        return sum_over_ranks(values) if self.size > 1 else values

    def gather(self, value: Any) -> list[Any]:
        """Every rank's object in rank order, on rank 0; an empty list on the others."""
        if self.size == 1:
            return [value]
        gathered: list[Any] | None = [None] * self.size if self.is_main else None
        dist.gather_object(value, gathered, dst=0, group=self.objects)
        return gathered or []

    def broadcast(self, value: Any) -> Any:
        """Rank 0's object, on every rank."""
        if self.size == 1:
            return value
        holder = [value]
        dist.broadcast_object_list(holder, src=0, group=self.objects)
        return holder[0]


def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum over all ranks, in place. A function of its own: a model that holds it can be copied."""
    dist.all_reduce(values)
    return values


@contextmanager
def joined_world(device_type: str) -> Iterator[World]:
    """Join the other processes of this run, if its environment names some, and leave them after.

    Args:
        device_type: "cuda" exchanges gradients by nccl, anything else by gloo.
    """
    _export_submitit_environment()
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    backend = "nccl" if device_type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=TIMEOUT)
    try:
        objects: Any = None
        if backend == "nccl":
            objects = dist.new_group(backend="gloo", timeout=TIMEOUT)
        yield World(dist.get_rank(), size, objects)
    finally:
        dist.destroy_process_group()


def choose_device(name: str) -> torch.device:
    """The device a setting names; `auto` is this process's GPU, or the CPU where there is none.

    Raises:
        ValueError: the name is no device, or the machine has none of its kind.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"runtime.device={name}: choose auto, cpu, cuda or cuda:N") from error
    if device.type != "cuda":
        return device
    if not torch.cuda.is_available():
        raise ValueError(f"runtime.device={name}: no CUDA device here; use auto or cpu")
    if device.index is None:
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        device = torch.device("cuda", local_rank % torch.cuda.device_count())
    if device.index >= torch.cuda.device_count():
        raise ValueError(f"runtime.device={name}: there are {torch.cuda.device_count()} devices")
    torch.cuda.set_device(device)
    return device


def _export_submitit_environment() -> None:
    """Translate a submitit job of several tasks into torchrun's variables."""
    if "SUBMITIT_EXECUTOR" not in os.environ or "WORLD_SIZE" in os.environ:
        return
    import submitit  # only inside its jobs: importing it costs a second

    if submitit.JobEnvironment().num_tasks > 1:
        submitit.helpers.TorchDistributedEnvironment().export(overwrite=False)
