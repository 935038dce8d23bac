"""Losses that dwell on the hard pixels: focal, poly-1, top-k; pixel losses.

p_t is the probability given to the truth: 1 − p_t = p·(1 − t) + (1 − p)·t, for soft targets too.
"""

import torch
from torch import Tensor

from losses.contract import mask_loss, module
from losses.cross_entropy import bce_with_slope
from losses.ranges import AtLeastMinusOne, NonNegative, Percent, Unit
from losses.slope import MapWithSlope


@torch.no_grad()
def focal_with_slope(
    logits_NHW: Tensor, target_NHW: Tensor, gamma: float, alpha: float | None
) -> tuple[Tensor, Tensor]:
    """α_t·(1 − p_t)^γ·BCE and its slope, pixel by pixel."""
    if gamma > 0:
        value_NHW, slope_NHW, miss_NHW, growth_NHW = _bce_and_miss(logits_NHW, target_NHW)
        # (miss^γ·BCE)' = miss^(γ − 1)·(miss·BCE' + γ·BCE·miss')
        slope_NHW.mul_(miss_NHW).add_(growth_NHW.mul_(value_NHW), alpha=gamma)
        value_NHW.mul_(miss_NHW)
        if gamma < 1:
            # The power's slope at 0 is infinite: the least number stands for 0.
            miss_NHW.clamp_(min=torch.finfo(miss_NHW.dtype).tiny)
        factor_NHW = miss_NHW.pow_(gamma - 1)
        if alpha is not None:
            factor_NHW.mul_(_side(target_NHW, alpha))
    else:
        value_NHW, slope_NHW = bce_with_slope(logits_NHW, target_NHW)
        if alpha is None:
            return value_NHW, slope_NHW
        factor_NHW = _side(target_NHW, alpha)
    return value_NHW.mul_(factor_NHW), slope_NHW.mul_(factor_NHW)


@mask_loss("pixel")
def focal(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    gamma: NonNegative = 2.0,
    alpha: Unit | None = 0.25,
) -> MapWithSlope:
    """Focal loss: cross-entropy, damped where the pixel is nearly right.

    Formula: mean(α_t·(1 − p_t)^γ·BCE)

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        gamma: γ, the damping; 0 is plain BCE.
        alpha: weight of mask pixels, background gets 1 − α; none weighs both 1.

    Source: Lin et al. 2017.
    """
    return MapWithSlope(*focal_with_slope(logits_NHW, target_NHW, gamma, alpha), weight_NHW)


@mask_loss("pixel")
def poly1(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    epsilon: AtLeastMinusOne = 1.0,
) -> MapWithSlope:
    """Cross-entropy with the first term of its series in 1 − p_t reweighted.

    Formula: mean(BCE + ε·(1 − p_t))

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        epsilon: ε; 0 is plain BCE, −1 takes the first term away.

    Source: Leng et al. 2022, PolyLoss.
    """
    value_NHW, slope_NHW, miss_NHW, growth_NHW = _bce_and_miss(logits_NHW, target_NHW)
    value_NHW.add_(miss_NHW, alpha=epsilon)
    slope_NHW.add_(growth_NHW, alpha=epsilon)
    return MapWithSlope(value_NHW, slope_NHW, weight_NHW)


@mask_loss("pixel")
def topk_bce(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    k: Percent = 10.0,
) -> MapWithSlope:
    """Binary cross-entropy of each instance's hardest pixels alone.

    The number of pixels is rounded down, at least one, and counted in the instance's own region.
    Pixels that tie for the last places share them. Alone and with a small k it may stay undecided:
    the hardest pixels are those at the edge.

    Formula: mean of the greatest k % of BCE

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        k: percent of the region's pixels.

    Source: Wu et al. 2016, as in SegLossOdyssey's TopKLoss.
    """
    value_NHW, slope_NHW = bce_with_slope(logits_NHW, target_NHW)
    chosen_NHW = _share_of_hardest(value_NHW, weight_NHW, k / 100)
    if weight_NHW is not None:
        chosen_NHW.mul_(weight_NHW)
    return MapWithSlope(value_NHW, slope_NHW, chosen_NHW)


@torch.no_grad()
def _bce_and_miss(logits_NHW: Tensor, target_NHW: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """BCE and its slope p − t; 1 − p_t and its slope (1 − 2t)·p·(1 − p).

    All keep their digits where p rounds to 0 or 1, by way of p and 1 − p from a sigmoid each.
    """
    probs_NHW, rest_NHW = torch.sigmoid(logits_NHW), torch.sigmoid(-logits_NHW)
    # −ln p_t of a hard target: max(±z, 0) − ln(max(p, 1 − p)).
    log_NHW = torch.minimum(probs_NHW, rest_NHW).neg_().log1p_()
    bce_NHW = torch.relu(logits_NHW).addcmul_(logits_NHW, target_NHW, value=-1).sub_(log_NHW)
    miss_NHW = torch.lerp(probs_NHW, rest_NHW, target_NHW)
    growth_NHW = torch.rsub(target_NHW, 1, alpha=2).mul_(probs_NHW).mul_(rest_NHW)
    return bce_NHW, probs_NHW.sub_(target_NHW), miss_NHW, growth_NHW


def _side(target_NHW: Tensor, alpha: float) -> Tensor:
    """α_t = α·t + (1 − α)·(1 − t)."""
    return torch.rsub(target_NHW, 1 - alpha, alpha=1 - 2 * alpha)


def _share_of_hardest(map_NHW: Tensor, weight_NHW: Tensor | None, fraction: float) -> Tensor:
    """1 for a pixel among the hardest, 0 for others, between for a tie at the last place."""
    map_NP = map_NHW.flatten(1)
    most = max(1, int(map_NP.shape[1] * fraction))
    if weight_NHW is None:
        last_N1 = map_NP.topk(most, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
        count_N1 = torch.full_like(last_N1, most)
    else:
        inside_NP = weight_NHW.flatten(1) > 0
        map_NP = map_NP.masked_fill(~inside_NP, -1)
        count_N1 = (inside_NP.sum(dim=1, keepdim=True) * fraction).floor().clamp(min=1)
        last_N1 = map_NP.topk(most, dim=1).values.gather(1, count_N1.long() - 1)
    # 1 above, 0 at, −1 below the last place: numbers, as comparisons cost more.
    side_NP = torch.sub(map_NP, last_N1).sign_()
    tied_NP = side_NP.abs().neg_().add_(1)
    share_NP = side_NP.clamp_(min=0)
    places_N1 = count_N1 - share_NP.sum(dim=1, keepdim=True)
    share_NP.addcmul_(tied_NP, places_N1 / tied_NP.sum(dim=1, keepdim=True))
    return share_NP.view_as(map_NHW)


Focal = module(focal)
Poly1 = module(poly1)
TopkBce = module(topk_bce)
