"""The sums that overlap losses are made of, with a backward pass of their own.

A loss that depends on the pixels through two sums alone needs no map of gradients kept: its slope
in a pixel is p·(1 − p) times a line in the target, made anew where it is asked for.
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
        return _sums(logits_NHW, target_NHW, weight_NHW, squared)
    overlap_N, found_N = _OverlapSums.apply(logits_NHW, target_NHW, weight_NHW, squared)
    return overlap_N, found_N


def _sums(
    logits_NHW: Tensor, target_NHW: Tensor, weight_NHW: Tensor | None, squared: bool
) -> tuple[Tensor, Tensor]:
    probs_NHW = torch.sigmoid(logits_NHW)
    weighted_NHW = probs_NHW if weight_NHW is None else probs_NHW * weight_NHW
    overlap_N = region_sum(weighted_NHW, target_NHW)
    return overlap_N, region_sum(weighted_NHW, probs_NHW if squared else None)


class _OverlapSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, weight: Tensor | None, squared: bool
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(logits, target, weight)
        ctx.squared = squared
        overlap, found = logits.new_empty(2, len(logits))
        for part in groups(logits, tensors=3):
            part_weight = None if weight is None else weight[part]
            overlap[part], found[part] = _sums(logits[part], target[part], part_weight, squared)
        return overlap, found

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_overlap: Tensor, grad_found: Tensor
    ) -> tuple[Tensor, None, None, None]:
        logits, target, weight = ctx.saved_tensors
        slope = torch.empty_like(logits)
        grad_overlap, grad_found = grad_overlap[:, None, None], grad_found[:, None, None]
        for part in groups(logits, tensors=3):
            probs = torch.sigmoid(logits[part])
            line = target[part] * grad_overlap[part]
            line = line.add_(probs * (2 * grad_found[part]) if ctx.squared else grad_found[part])
            # p - p² loses no more than p itself has lost where it rounds to 1.
            torch.mul(line, probs.addcmul_(probs, probs, value=-1), out=slope[part])
            if weight is not None:
                slope[part].mul_(weight[part])
        return slope, None, None, None
