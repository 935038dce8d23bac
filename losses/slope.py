"""A map of pixels that brings its own derivative, for losses whose formulas share their work."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class MapWithSlope(NamedTuple):
    """A pixel loss whose mean over the region `@mask_loss` takes, gradient and all.

    A mask loss may return one in place of its values [N]: groups of instances need no graph then.

    Args:
        value_NHW: the loss of each pixel, computed from the logits inside `torch.no_grad`.
        slope_NHW: its derivative by the pixel's logit.
        weight_NHW: per pixel, None for all ones.
    """

    value_NHW: Tensor
    slope_NHW: Tensor
    weight_NHW: Tensor | None = None


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
