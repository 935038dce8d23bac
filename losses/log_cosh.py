"""ln cosh x to full precision, near 0 and far from it, and its gradient tanh x."""

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Reach = Literal["any", "near", "far"]


def log_cosh_of(x: Tensor, reach: Reach = "any", naive: bool = False) -> Tensor:
    """ln cosh x = ½·log1p(sinh²x), without its overflow.

    Near 0 it is computed as −½·log1p(−tanh²x), the same value; far from 0 as
    |x| + ln(1 + e^−2|x|) − ln 2, whose rounding error is absolute, not relative.

    Args:
        x: any shape.
        reach: "near" where |x| ≤ 1 is known and "far" where x ≥ 0 is known and an absolute error of
            rounding will do: each spares the other half of the work.
        naive: compute ln((e^x + e^−x)/2) as the survey's code does, infinite from x = 89 on.
    """
    if naive:
        return torch.log((torch.exp(x) + torch.exp(-x)) / 2)
    value: Tensor = _LogCosh.apply(x, reach)
    return value


class _LogCosh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, reach: Reach) -> Tensor:
        if reach == "near":
            value, slope = _near(x)
        elif reach == "far":
            value, slope = _far(x)
        else:
            size = x.abs()
            is_near = size < 1
            values, slopes = zip(_near(size.clamp(max=1)), _far(size), strict=True)
            value = torch.where(is_near, *values)
            slope = torch.where(is_near, *slopes).copysign_(x)
        ctx.save_for_backward(slope)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return grad * slope, None


def _near(x: Tensor) -> tuple[Tensor, Tensor]:
    growth = torch.expm1(2 * x)
    slope = growth / (growth + 2)
    return torch.log1p(-slope.square()).mul_(-0.5), slope


def _far(size: Tensor) -> tuple[Tensor, Tensor]:
    decay = torch.exp(-2 * size)
    slope = (1 - decay).div_(decay + 1)
    return decay.log1p_().sub_(math.log(2)).add_(size), slope
