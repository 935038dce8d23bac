"""Deformable convolution: each backend's time beside torchvision's, in one process.

`OMP_NUM_THREADS=2 python -m benchmarks.deform_conv` prints, for some layers of the backbones, the
median and best time of forward and of forward with backward, and the ratio of the medians to
torchvision's. The contestants take turns, so that a disturbance of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.turns import CLOCKS, Clock
from yolactpp.ops.deform_conv import Backend, deform_conv2d

# images, channels, side, stride
LAYERS = (
    (2, 256, 35, 1),
    (1, 128, 69, 1),
    (1, 256, 69, 2),
    (1, 512, 18, 1),
    (8, 32, 16, 1),
    (8, 64, 8, 1),
)
BACKENDS: tuple[Backend, ...] = ("torchvision", "grid_sample", "gather")


def layer_inputs(
    images: int, channels: int, side: int, stride: int, device: torch.device, dtype: torch.dtype
) -> list[Tensor]:
    """Leaves: input, offset (about 2 px), weight, bias, mask."""
    generator = torch.Generator().manual_seed(0)
    out = (side - 1) // stride + 1
    shapes = ((images, channels, side, side), (images, 18, out, out), (channels, channels, 3, 3))
    input, offset, weight = (torch.randn(*shape, generator=generator) for shape in shapes)
    mask = torch.rand(images, 9, out, out, generator=generator)
    leaves = [input, 2 * offset, weight / (9 * channels) ** 0.5, torch.zeros(channels), mask]
    return [leaf.to(device, dtype).requires_grad_() for leaf in leaves]


def contestant(
    leaves: list[Tensor], stride: int, backend: Backend, *, backward: bool
) -> Callable[[], None]:
    """A call that computes the layer once."""
    input, offset, weight, bias, mask = leaves

    def run() -> None:
        with torch.set_grad_enabled(backward):
            out = deform_conv2d(input, offset, weight, bias, stride, 1, mask=mask, backend=backend)
        if backward:
            torch.autograd.grad(out, leaves, torch.ones_like(out))

    return run


def take_turns(
    contestants: dict[Backend, Callable[[], None]],
    rounds: int,
    device: torch.device,
    clock: Clock,
) -> dict[Backend, list[float]]:
    """Milliseconds of each call of each contestant, after one call to warm up."""
    times_ms: dict[Backend, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, run in contestants.items():
            _wait(device)
            start = clock()
            run()
            _wait(device)
            if turn:
                times_ms[name].append(1e3 * (clock() - start))
    return times_ms


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    chosen = parser.parse_args()
    device, dtype = torch.device(chosen.device), getattr(torch, chosen.dtype)
    print(f"torch {torch.__version__}, {device}, {dtype}, {torch.get_num_threads()} threads")
    print("           layer      pass      backend  median ms  best ms  ratio")
    for images, channels, side, stride in LAYERS:
        leaves = layer_inputs(images, channels, side, stride, device, dtype)
        for backward in (False, True):
            contestants = {
                backend: contestant(leaves, stride, backend, backward=backward)
                for backend in BACKENDS
            }
            times_ms = take_turns(contestants, chosen.rounds, device, CLOCKS[chosen.clock])
            reference = statistics.median(times_ms["torchvision"])
            for backend, each in times_ms.items():
                median = statistics.median(each)
                print(
                    f"{f'{images}x{channels}x{side}x{side}/{stride}':>16} "
                    f"{'fwd+bwd' if backward else 'fwd':>9} {backend:>12} {median:10.2f} "
                    f"{min(each):8.2f} {reference / median:6.2f}"
                )


if __name__ == "__main__":
    main()
