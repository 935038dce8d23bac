"""The sums that overlap losses are made of, with a backward pass of their own.

A loss that depends on the pixels through two sums alone needs no map of gradients: its slope in a
pixel is p·(1 − p) times a line in the target, made where it is asked for.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from losses.instances import groups
from losses.reductions import region_sum


def overlap_sums(
    logits_NHW: Tensor, target_NHW: Tensor, weight_NHW: Tensor | None, squared: bool = False
) -> tuple[Tensor, Tensor]:
    """I = Σ w·p·t [N] and P = Σ w·p [N], or Σ w·p² with `squared`; differentiable once in z."""
    if torch.compiler.is_compiling():
        return _sums(torch.sigmoid(logits_NHW), target_NHW, weight_NHW, squared)
    overlap_N, found_N = _OverlapSums.apply(logits_NHW, target_NHW, weight_NHW, squared)
    return overlap_N, found_N


def _sums(
    probs_NHW: Tensor, target_NHW: Tensor, weight_NHW: Tensor | None, squared: bool
) -> tuple[Tensor, Tensor]:
    weighted_NHW = probs_NHW if weight_NHW is None else probs_NHW * weight_NHW
    found_NHW = weighted_NHW * probs_NHW if squared else weighted_NHW
    return region_sum(weighted_NHW * target_NHW, None), region_sum(found_NHW, None)


class _OverlapSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, weight: Tensor | None, squared: bool
    ) -> tuple[Tensor, Tensor]:
        probs = torch.empty_like(logits)
        overlap, found = logits.new_empty(2, len(logits))
        for part in groups(logits, tensors=1):
            torch.sigmoid(logits[part], out=probs[part])
            part_weight = None if weight is None else weight[part]
            overlap[part], found[part] = _sums(probs[part], target[part], part_weight, squared)
        ctx.save_for_backward(probs, target, weight)
        ctx.squared = squared
        return overlap, found

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_overlap: Tensor, grad_found: Tensor
    ) -> tuple[Tensor, None, None, None]:
        probs, target, weight = ctx.saved_tensors
        slope = torch.empty_like(probs)
        grad_overlap, grad_found = grad_overlap[:, None, None], grad_found[:, None, None]
        for part in groups(probs, tensors=1):
            line = torch.mul(target[part], grad_overlap[part], out=slope[part])
            line.add_(probs[part] * (2 * grad_found[part]) if ctx.squared else grad_found[part])
            torch.ops.aten.sigmoid_backward.grad_input(line, probs[part], grad_input=line)
            if weight is not None:
                line.mul_(weight[part])
        return slope, None, None, None
