"""Evaluates a loss a few instances at a time, value and gradient together.

Instances do not see each other, so a group of them can be finished, gradient included, while its
intermediate tensors are still in the processor's cache, and these never exist for all instances at
once: what is kept for the backward pass is one tensor, the gradient. A loss that says its own slope
needs no graph for it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from losses.reductions import region_mean
from losses.slope import MapWithSlope, with_slope

InstanceLoss = Callable[..., Tensor | MapWithSlope]

# Pixels of one group. On a CPU a dozen float32 tensors of this size stay in cache, and the calls
# for a group cost little beside its pixels; on a GPU launches are what costs, so groups are only
# there to bound memory.
CPU_GROUP = 1 << 18
GPU_GROUP = 1 << 23


def by_instances(
    loss: InstanceLoss, logits_NHW: Tensor, others_NHW: tuple[Tensor | None, ...]
) -> Tensor:
    """`loss(logits, *others)` [N] in groups of instances; differentiable once in the logits."""
    if torch.compiler.is_compiling():
        return values_of(loss(logits_NHW, *others_NHW), logits_NHW)
    values: Tensor = _ByInstances.apply(loss, logits_NHW, *others_NHW)
    return values


def groups(logits_NHW: Tensor, tensors: int = 12) -> list[slice]:
    """The instances in groups of a size that suits the device and the tensors at work at once."""
    most = CPU_GROUP * 12 // tensors if logits_NHW.device.type == "cpu" else GPU_GROUP
    size = max(1, most // logits_NHW[0].numel())
    return [slice(start, start + size) for start in range(0, len(logits_NHW), size)]


def values_of(result: Tensor | MapWithSlope, logits_NHW: Tensor) -> Tensor:
    """What a loss gave for these logits as its values [N], known to autograd."""
    if isinstance(result, Tensor):
        return result
    value_NHW, slope_NHW, weight_NHW = result
    return region_mean(with_slope(logits_NHW, value_NHW, slope_NHW), weight_NHW)


def _put_slope_of_mean(result: MapWithSlope, out_NHW: Tensor) -> None:
    """The slope of `region_mean(value, weight)`."""
    _, slope_NHW, weight_NHW = result
    if weight_NHW is None:
        torch.div(slope_NHW, slope_NHW[0].numel(), out=out_NHW)
        return
    total_N = weight_NHW.sum(dim=(1, 2))
    share_N = torch.where(total_N > 0, total_N, 1).reciprocal()
    torch.mul(slope_NHW * weight_NHW, share_N[:, None, None], out=out_NHW)


class _ByInstances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: InstanceLoss, logits: Tensor, *others: Tensor | None) -> Tensor:
        parts = groups(logits)
        values = logits.new_empty(len(logits))
        slope = torch.empty_like(logits) if ctx.needs_input_grad[1] else None
        for part in parts:
            scores = logits[part].detach()
            rest = [None if each is None else each[part] for each in others]
            if slope is None:
                values[part] = values_of(loss(scores, *rest), scores)
                continue
            with torch.enable_grad():
                result = loss(scores.requires_grad_(), *rest)
            if isinstance(result, MapWithSlope):
                values[part] = region_mean(result.value_NHW, result.weight_NHW)
                _put_slope_of_mean(result, slope[part])
            else:
                values[part] = result.detach()
                (slope[part],) = torch.autograd.grad(result, scores, torch.ones_like(result))
        if slope is not None:
            ctx.save_for_backward(slope)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        others = len(ctx.needs_input_grad) - 2
        return None, grad_N[:, None, None] * slope, *(None,) * others
