"""The mask losses under test, and inputs for them."""

import inspect
from collections.abc import Callable

import torch
from torch import Tensor

import losses

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    name: value
    for name, value in vars(losses).items()
    if inspect.isfunction(value) and hasattr(value, "kind")
}
PIXEL = [name for name, function in FUNCTIONS.items() if function.kind == "pixel"]  # type: ignore[attr-defined]
REGION = [name for name in FUNCTIONS if name not in PIXEL]
# What their docstrings say of them: no edge, no loss; and a value that may fall below 0.
NEEDS_EDGE = {"boundary", "hausdorff_dt"}


def logits_of(probs: Tensor) -> Tensor:
    """Finite logits of probabilities that may be 0 or 1."""
    inner = torch.logit(probs.double().clamp(1e-12, 1 - 1e-12))
    return torch.where(probs == 1, 1e4, torch.where(probs == 0, -1e4, inner))


def random_case(
    shape: tuple[int, int, int], seed: int = 0, soft: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """float64 logits, target and 0/1 weight."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64) * 3
    target = torch.rand(shape, generator=generator, dtype=torch.float64)
    weight = (torch.rand(shape, generator=generator) > 0.3).double()
    return logits, target if soft else (target > 0.6).double(), weight


def square(low: int, high: int, size: int = 16) -> Tensor:
    """A mask [size, size] with a filled square."""
    mask = torch.zeros(size, size, dtype=torch.float64)
    mask[low:high, low:high] = 1
    return mask
