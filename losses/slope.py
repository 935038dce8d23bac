"""A map of pixels that brings its own derivative, for losses whose formulas share their work."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def with_slope(x: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """`value`, made known to autograd as a function of `x` with derivative `slope`.

    Args:
        x: what value and slope were computed from, element by element, inside `torch.no_grad`.
        value: of x's shape.
        slope: of x's shape.
    """
    known: Tensor = _WithSlope.apply(x, value, slope)
    return known


class _WithSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, slope: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(slope)
        return value.view_as(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return grad * slope, None, None
