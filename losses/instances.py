"""Evaluates a loss a few instances at a time, value and gradient together.

Instances do not see each other, so a group of them can be finished, gradient included, while its
intermediate tensors are still in the processor's cache, and these never exist for all instances at
once: what is kept for the backward pass is one tensor, the gradient.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

InstanceLoss = Callable[..., Tensor]

# Pixels of one group. On a CPU a dozen float32 tensors of this size stay in cache; on a GPU
# launches are what costs, so groups are only there to bound memory.
CPU_GROUP = 1 << 17
GPU_GROUP = 1 << 23


def by_instances(
    loss: InstanceLoss, logits_NHW: Tensor, others_NHW: tuple[Tensor | None, ...]
) -> Tensor:
    """`loss(logits, *others)` [N] in groups of instances; differentiable once in the logits."""
    if torch.compiler.is_compiling():
        return loss(logits_NHW, *others_NHW)
    values: Tensor = _ByInstances.apply(loss, logits_NHW, *others_NHW)
    return values


def groups(logits_NHW: Tensor, tensors: int = 12) -> list[slice]:
    """The instances in groups of a size that suits the device and the tensors at work at once."""
    most = CPU_GROUP * 12 // tensors if logits_NHW.device.type == "cpu" else GPU_GROUP
    size = max(1, most // logits_NHW[0].numel())
    return [slice(start, start + size) for start in range(0, len(logits_NHW), size)]


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
                values[part] = loss(scores, *rest)
                continue
            with torch.enable_grad():
                scores.requires_grad_()
                part_values = loss(scores, *rest)
                (part_slope,) = torch.autograd.grad(part_values.sum(), scores)
            if len(parts) == 1:
                slope = part_slope
            else:
                slope[part] = part_slope
            values[part] = part_values.detach()
        if slope is not None:
            ctx.save_for_backward(slope)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        others = len(ctx.needs_input_grad) - 2
        return None, grad_N[:, None, None] * slope, *(None,) * others
