"""Random generators: seeding, and their state as tensors and plain values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed python, NumPy and torch.

    All ranks take the same seed: what the criterion draws is shared by the images of a step,
    wherever they lie, so that several processes give the gradient of one.

    Raises:
        ValueError: NumPy takes no such seed.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed}: must lie in [0, 2^32)")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def make_deterministic(device: torch.device) -> None:
    """Same inputs, same bits: on the CPU always, as it costs little there.

    On a GPU, where deterministic kernels are slower and some are missing, cuDNN may choose.
    """
    on_cpu = device.type == "cpu"
    torch.use_deterministic_algorithms(on_cpu, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not on_cpu


def generator_state() -> dict[str, Any]:
    """State of all global generators, loadable with weights_only."""
    version, internal, gauss = random.getstate()
    numpy_state: Any = np.random.get_state(legacy=True)
    name, keys, position, has_gauss, cached = numpy_state
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": [version, list(internal), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
    }


def restore_generators(state: dict[str, Any]) -> None:
    """Put the global generators into a state that `generator_state` returned.

    CUDA generators are restored only on a machine with as many devices.
    """
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))


@contextmanager
def preserved_generators() -> Iterator[None]:
    """Leave the global generators as they were, whatever is drawn inside.

    An evaluation between two steps must not change the steps, and a new iterator over a
    DataLoader draws from torch's generator.
    """
    state = generator_state()
    try:
        yield
    finally:
        restore_generators(state)
