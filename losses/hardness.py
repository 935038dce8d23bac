"""Losses that dwell on the hard pixels: focal, poly-1, top-k; pixel losses.

p_t is the probability given to the truth: 1 − p_t = p·(1 − t) + (1 − p)·t, for soft targets too.
"""

import torch
from torch import Tensor

from losses.contract import mask_loss, module
from losses.cross_entropy import bce_map
from losses.ranges import AtLeastMinusOne, NonNegative, Percent, Unit
from losses.reductions import region_mean


def _miss_map(logits_NHW: Tensor, target_NHW: Tensor) -> Tensor:
    """1 − p_t. Both summands keep their digits where p rounds to 0 or 1."""
    found_NHW = torch.sigmoid(logits_NHW) * (1 - target_NHW)
    return torch.addcmul(found_NHW, torch.sigmoid(-logits_NHW), target_NHW)


def focal_map(logits_NHW: Tensor, target_NHW: Tensor, gamma: float, alpha: float | None) -> Tensor:
    """α_t·(1 − p_t)^γ·BCE, pixel by pixel."""
    map_NHW = bce_map(logits_NHW, target_NHW)
    if gamma > 0:
        # Below γ = 1 the slope at 0 is infinite: there the least normal number stands for 0.
        least = torch.finfo(logits_NHW.dtype).tiny if gamma < 1 else 0.0
        miss_NHW = _miss_map(logits_NHW, target_NHW)
        map_NHW = map_NHW * (miss_NHW.clamp(min=least) if least else miss_NHW).pow(gamma)
    if alpha is not None:
        map_NHW = map_NHW * (target_NHW * (2 * alpha - 1) + (1 - alpha))
    return map_NHW


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
    miss_NHW = _miss_map(logits_NHW, target_NHW)
    return region_mean(bce_map(logits_NHW, target_NHW) + epsilon * miss_NHW, weight_NHW)


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
