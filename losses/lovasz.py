"""The Lovász hinge: the convex surrogate of the Jaccard error; a region loss."""

import torch
from torch import Tensor

from losses.contract import mask_loss, module


@mask_loss("region")
def lovasz_hinge(
    logits_NHW: Tensor, target_NHW: Tensor, weight_NHW: Tensor | None = None
) -> Tensor:
    """Lovász extension of the Jaccard error, on hinge errors, instance by instance.

    With an empty target only the greatest error counts: any false pixel takes the Jaccard index
    from 1 to 0. A pixel of weight 0 adds nothing to intersection or union.

    Formula: Σ relu(m_i)·ΔJ_i over errors m = 1 − z·(2t − 1) in descending order

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.

    Source: Berman et al. 2018.
    """
    errors_NP = 1 - (logits_NHW * (2 * target_NHW - 1)).flatten(1)
    order_NP = errors_NP.detach().argsort(dim=1, descending=True)
    with torch.no_grad():
        truth_NP = target_NHW.flatten(1)
        weight_NP = torch.ones_like(truth_NP) if weight_NHW is None else weight_NHW.flatten(1)
        steps_NP = _jaccard_steps(truth_NP.gather(1, order_NP), weight_NP.gather(1, order_NP))
        slope_NP = torch.empty_like(steps_NP).scatter_(1, order_NP, steps_NP)
    return torch.linalg.vecdot(torch.relu(errors_NP), slope_NP)


def _jaccard_steps(truth_NP: Tensor, weight_NP: Tensor) -> Tensor:
    """How much the Jaccard error grows with each pixel got wrong, hardest first."""
    object_NP = truth_NP * weight_NP
    total_N1 = object_NP.sum(dim=1, keepdim=True)
    left_NP = total_N1 - object_NP.cumsum(dim=1)
    union_NP = total_N1 + (weight_NP - object_NP).cumsum(dim=1)
    error_NP = torch.where(union_NP > 0, 1 - left_NP / torch.where(union_NP > 0, union_NP, 1), 0)
    return error_NP.diff(dim=1, prepend=torch.zeros_like(total_N1))


LovaszHinge = module(lovasz_hinge)
