"""ln cosh x to full precision, near 0 and far from it, and its slope tanh x."""

import torch
from torch import Tensor

from losses.slope import with_slope


def log_cosh_of(x: Tensor, naive: bool = False) -> Tensor:
    """ln cosh x = ½·log1p(sinh²x), without its overflow.

    Args:
        x: any shape.
        naive: compute ln((e^x + e^−x)/2) as the survey's code does, infinite from x = 89 on.
    """
    if naive:
        return torch.log((torch.exp(x) + torch.exp(-x)) / 2)
    with torch.no_grad():
        size = x.abs()
        is_near = size < 1
        values, slopes = zip(log_cosh_near(size.clamp(max=1)), log_cosh_far(size), strict=True)
        value, slope = torch.where(is_near, *values), torch.where(is_near, *slopes).copysign_(x)
    return with_slope(x, value, slope)


def log_cosh_near(x: Tensor) -> tuple[Tensor, Tensor]:
    """ln cosh x, as −½·log1p(−tanh²x), and tanh x where |x| ≤ 1: exact to the last digits."""
    growth = torch.expm1(2 * x)
    slope = growth / (growth + 2)
    return torch.log1p(-slope.square()).mul_(-0.5), slope


def log_cosh_far(size: Tensor) -> tuple[Tensor, Tensor]:
    """ln cosh x, as x − ln(1 + tanh x), and tanh x where x ≥ 0: no overflow; overwrites x.

    The rounding error is absolute, that of numbers near 1.
    """
    slope = torch.rsub((-2 * size).sigmoid_(), 1, alpha=2)
    return size.sub_(slope.log1p()).clamp_(min=0), slope
