"""Whether an exported graph answers as the network does, and how fast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Outputs = Sequence[NDArray[np.float32]]
Run = Callable[[Tensor], Outputs]


class UnsupportedError(Exception):
    """A runtime cannot run a graph; the message gives its reason."""


def largest_difference(run: Run, reference: Run, images_B3SS: Tensor) -> float:
    """Largest difference of any output, relative to that output's largest value.

    Infinite where an output is not finite: half precision overflows above 65504.
    """
    worst = 0.0
    for value, wanted in zip(run(images_B3SS), reference(images_B3SS), strict=True):
        scale = max(float(np.abs(wanted).max()), 1e-12)
        if not np.isfinite(value).all():
            return float("inf")
        worst = max(worst, float(np.abs(value - wanted).max()) / scale)
    return worst


def latency_ms(run: Run, images_B3SS: Tensor, repeats: int) -> float:
    """Median time of a call in milliseconds, after one that is not counted."""
    run(images_B3SS)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(images_B3SS)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def run_torch(graph: Callable[[Tensor], tuple[Tensor, ...]]) -> Run:
    """A graph, or a loaded program, as a function to numpy arrays."""

    @torch.no_grad()
    def run(images_B3SS: Tensor) -> Outputs:
        return [output.numpy() for output in graph(images_B3SS)]

    return run


def run_onnx(path: Path) -> Run:
    """An ONNX file on the CPU as a function to numpy arrays.

    Raises:
        UnsupportedError: the installed onnxruntime lacks an operator or a kernel for it.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    unsupported = (state.Fail, state.InvalidGraph, state.NotImplemented, state.RuntimeException)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except unsupported as error:
        raise UnsupportedError(f"onnxruntime {onnxruntime.__version__}: {error}") from error
    (name,) = (each.name for each in session.get_inputs())

    def run(images_B3SS: Tensor) -> Outputs:
        return session.run(None, {name: images_B3SS.numpy()})

    return run
