"""From a map of pixels to one value an instance, and the log-cosh that several losses share."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# ln cosh x = |x| - ln 2 to the last bit of float64 from here on.
_LINEAR_FROM = 18.0


def region_sum(map_NHW: Tensor, weight_NHW: Tensor | None) -> Tensor:
    """Weighted sum [N] over each instance's pixels."""
    if weight_NHW is None:
        return map_NHW.sum(dim=(1, 2))
    return torch.linalg.vecdot(map_NHW.flatten(1), weight_NHW.flatten(1))


def region_mean(map_NHW: Tensor, weight_NHW: Tensor | None) -> Tensor:
    """Weighted mean [N] over each instance's pixels; 0 where all its weights are 0."""
    if weight_NHW is None:
        return map_NHW.mean(dim=(1, 2))
    total_N = weight_NHW.sum(dim=(1, 2))
    return region_sum(map_NHW, weight_NHW) / torch.where(total_N > 0, total_N, 1)


def ratio(numerator_N: Tensor, denominator_N: Tensor) -> Tensor:
    """A score numerator / denominator, 1 where both are 0: nothing to find and nothing found."""
    known_N = denominator_N > 0
    return torch.where(known_N, numerator_N / torch.where(known_N, denominator_N, 1), 1)


def log_cosh_of(x: Tensor, naive: bool = False) -> Tensor:
    """ln cosh x = ½·log1p(sinh²x), exact for small x and without overflow; gradient tanh x.

    Args:
        x: any shape.
        naive: compute ln((e^x + e^-x) / 2) as the survey's code does, infinite from x = 89 on.
    """
    if naive:
        return torch.log((torch.exp(x) + torch.exp(-x)) / 2)
    if torch.compiler.is_compiling():
        return _log_cosh(x)
    value: Tensor = _LogCosh.apply(x)
    return value


def _log_cosh(x: Tensor) -> Tensor:
    size = x.abs()
    inner = size.clamp(max=_LINEAR_FROM)
    return torch.log1p(torch.sinh(inner).square()) / 2 + (size - inner)


class _LogCosh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _log_cosh(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * torch.tanh(x)
