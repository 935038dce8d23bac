"""Losses that dwell on the hard pixels: focal, poly-1, top-k; pixel losses.

p_t is the probability given to the truth: 1 − p_t = p·(1 − t) + (1 − p)·t, for soft targets too.
"""

import torch
from torch import Tensor

from losses.contract import mask_loss, module
from losses.cross_entropy import bce_map, bce_with_slope
from losses.ranges import AtLeastMinusOne, NonNegative, Percent, Unit
from losses.reductions import region_mean
from losses.slope import with_slope


def focal_map(logits_NHW: Tensor, target_NHW: Tensor, gamma: float, alpha: float | None) -> Tensor:
    """α_t·(1 − p_t)^γ·BCE, pixel by pixel."""
    with torch.no_grad():
        value_NHW, slope_NHW = bce_with_slope(logits_NHW, target_NHW)
        if gamma > 0:
            miss_NHW, growth_NHW = _miss_with_slope(logits_NHW, target_NHW)
            # Below γ = 1 the power's slope at 0 is infinite: the least number stands for 0.
            damping_NHW = miss_NHW.clamp_(min=torch.finfo(miss_NHW.dtype).tiny).pow(gamma - 1)
            growth_NHW.mul_(value_NHW).mul_(gamma)
            slope_NHW.mul_(miss_NHW).add_(growth_NHW).mul_(damping_NHW)
            value_NHW.mul_(miss_NHW).mul_(damping_NHW)
        if alpha is not None:
            side_NHW = (target_NHW * (2 * alpha - 1)).add_(1 - alpha)
            value_NHW.mul_(side_NHW)
            slope_NHW.mul_(side_NHW)
    return with_slope(logits_NHW, value_NHW, slope_NHW)


@mask_loss("pixel")
def focal(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    gamma: NonNegative = 2.0,
    alpha: Unit | None = 0.25,
) -> Tensor:
    """Focal loss: cross-entropy, damped where the pixel is nearly right.

    Formula: mean(α_t·(1 − p_t)^γ·BCE)

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        gamma: γ, the damping; 0 is plain BCE.
        alpha: weight of mask pixels, background gets 1 − α; none weighs both 1.

    Source: Lin et al. 2017.
    """
    return region_mean(focal_map(logits_NHW, target_NHW, gamma, alpha), weight_NHW)


@mask_loss("pixel")
def poly1(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    epsilon: AtLeastMinusOne = 1.0,
) -> Tensor:
    """Cross-entropy with the first term of its series in 1 − p_t reweighted.

    Formula: mean(BCE + ε·(1 − p_t))

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        epsilon: ε; 0 is plain BCE, −1 takes the first term away.

    Source: Leng et al. 2022, PolyLoss.
    """
    with torch.no_grad():
        value_NHW, slope_NHW = bce_with_slope(logits_NHW, target_NHW)
        miss_NHW, growth_NHW = _miss_with_slope(logits_NHW, target_NHW)
        value_NHW.add_(miss_NHW, alpha=epsilon)
        slope_NHW.add_(growth_NHW, alpha=epsilon)
    return region_mean(with_slope(logits_NHW, value_NHW, slope_NHW), weight_NHW)


@mask_loss("pixel")
def topk_bce(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    k: Percent = 10.0,
) -> Tensor:
    """Binary cross-entropy of each instance's hardest pixels alone.

    The number of pixels is rounded down, at least one, and counted in the instance's own region.
    Pixels that tie for the last places share them.

    Formula: mean of the greatest k % of BCE

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        k: percent of the region's pixels.

    Source: Wu et al. 2016, as in SegLossOdyssey's TopKLoss.
    """
    map_NHW = bce_map(logits_NHW, target_NHW)
    chosen_NHW = _share_of_hardest(map_NHW.detach(), weight_NHW, k / 100)
    return region_mean(map_NHW, chosen_NHW if weight_NHW is None else chosen_NHW * weight_NHW)


def _miss_with_slope(logits_NHW: Tensor, target_NHW: Tensor) -> tuple[Tensor, Tensor]:
    """1 − p_t and its slope (1 − 2t)·p·(1 − p), with all their digits where p rounds to 0 or 1."""
    probs_NHW, rest_NHW = torch.sigmoid(logits_NHW), torch.sigmoid(-logits_NHW)
    away_NHW = 1 - target_NHW
    miss_NHW = (probs_NHW * away_NHW).addcmul_(rest_NHW, target_NHW)
    return miss_NHW, away_NHW.sub_(target_NHW).mul_(probs_NHW.mul_(rest_NHW))


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
    above_NP = map_NP > last_N1
    tied_NP = map_NP == last_N1
    places_N1 = count_N1 - above_NP.sum(dim=1, keepdim=True)
    share_NP = above_NP + tied_NP * (places_N1 / tied_NP.sum(dim=1, keepdim=True))
    return share_NP.view_as(map_NHW)


Focal = module(focal)
Poly1 = module(poly1)
TopkBce = module(topk_bce)
