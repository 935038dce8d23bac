"""Overlap over union and its weighted kin; region losses.

Over the region: I = Σpt, P = Σp, T = Σt, FP = P − I, FN = T − I. With s in `dice` and s/2 here,
tversky(½, ½) is dice and tversky(1, 1) is jaccard for every s.
"""

import torch
from torch import Tensor

from losses.contract import mask_loss, module
from losses.ranges import NonNegative, Positive
from losses.reductions import ratio, region_sum
from losses.sums import overlap_sums

# Below this a power < 1 goes on in a straight line: its slope at 0 would be infinite.
_STRAIGHT_BELOW = 1e-6


def tversky_of(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None,
    fp_weight: float,
    fn_weight: float,
    smooth: float,
) -> Tensor:
    """1 − (I + s/2)/(I + fp_weight·FP + fn_weight·FN + s/2) [N]."""
    overlap_N, found_N = overlap_sums(logits_NHW, target_NHW, weight_NHW)
    false_N = found_N - overlap_N
    missed_N = region_sum(target_NHW, weight_NHW) - overlap_N
    whole_N = overlap_N + fp_weight * false_N + fn_weight * missed_N
    return 1 - ratio(overlap_N + smooth / 2, whole_N + smooth / 2)


@mask_loss("region", grouped=False)
def jaccard(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    smooth: NonNegative = 1e-6,
) -> Tensor:
    """Soft intersection over union.

    Alone and shown the box only it may end at the filled box, as `dice` may.

    Formula: 1 − (I + s/2)/(P + T − I + s/2)

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        smooth: s; with 0 an empty mask that is found empty still scores 1.

    Source: Rahman & Wang 2016.
    """
    return tversky_of(logits_NHW, target_NHW, weight_NHW, 1.0, 1.0, smooth)


@mask_loss("region", grouped=False)
def tversky(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    fp_weight: NonNegative = 0.5,
    fn_weight: NonNegative = 0.5,
    smooth: NonNegative = 1e-6,
) -> Tensor:
    """Overlap in which false and missed pixels weigh differently.

    Libraries disagree on which of α and β is which; here the weights carry names. Alone and shown
    the box only it may end at the filled box, as `dice` may.

    Formula: 1 − (I + s/2)/(I + fp_weight·FP + fn_weight·FN + s/2)

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        fp_weight: of pixels found outside the mask.
        fn_weight: of mask pixels missed.
        smooth: s; with 0 an empty mask that is found empty still scores 1.

    Source: Salehi et al. 2017.
    """
    return tversky_of(logits_NHW, target_NHW, weight_NHW, fp_weight, fn_weight, smooth)


@mask_loss("region", grouped=False)
def focal_tversky(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    gamma: Positive = 0.75,
    fp_weight: NonNegative = 0.3,
    fn_weight: NonNegative = 0.7,
    smooth: NonNegative = 1e-6,
) -> Tensor:
    """A power of the Tversky loss: below 1 it dwells on masks that are nearly right.

    Under a loss of 1e-6 the power goes on in a straight line, so that a perfect mask has a finite
    gradient.

    Formula: tversky^γ

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        gamma: γ; 1 is plain Tversky.
        fp_weight: of pixels found outside the mask.
        fn_weight: of mask pixels missed.
        smooth: s of `tversky`.

    Source: Abraham & Khan 2018 (their exponent is 1/γ).
    """
    loss_N = tversky_of(logits_NHW, target_NHW, weight_NHW, fp_weight, fn_weight, smooth)
    return power_of(loss_N, gamma)


def power_of(loss_N: Tensor, gamma: float) -> Tensor:
    """loss^γ of a loss that rounding may leave a little below 0, with a finite slope at 0."""
    powered_N = loss_N.clamp(min=_STRAIGHT_BELOW).pow(gamma)
    straight_N = loss_N * _STRAIGHT_BELOW ** (gamma - 1)
    return torch.where(loss_N > _STRAIGHT_BELOW, powered_N, straight_N)


Jaccard = module(jaccard)
Tversky = module(tversky)
FocalTversky = module(focal_tversky)
