"""Binary cross-entropy from logits and its weighted kin; pixel losses.

z logits, t target; −ln p is softplus(−z) and −ln(1 − p) is softplus(z). The form with
probabilities has no gradient from z = 17 on in float32.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from losses.contract import mask_loss, module
from losses.distance import squared_edge_distance_NHW
from losses.log_cosh import log_cosh_far, log_cosh_of
from losses.ranges import NonNegative, Positive, UnitBelowOne
from losses.reductions import region_mean
from losses.slope import MapWithSlope


def bce_map(logits_NHW: Tensor, target_NHW: Tensor) -> Tensor:
    """softplus(z) − z·t, pixel by pixel."""
    return F.binary_cross_entropy_with_logits(logits_NHW, target_NHW, reduction="none")


@torch.no_grad()
def bce_with_slope(logits_NHW: Tensor, target_NHW: Tensor) -> tuple[Tensor, Tensor]:
    """BCE and its slope p − t, pixel by pixel."""
    return bce_map(logits_NHW, target_NHW), torch.sigmoid(logits_NHW).sub_(target_NHW)


def bce_of_probs_map(logits_NHW: Tensor, target_NHW: Tensor) -> Tensor:
    """−t·ln p − (1 − t)·ln(1 − p), logs clamped at −100, as in YOLACT's code."""
    probs_NHW = torch.sigmoid(logits_NHW)
    return F.binary_cross_entropy(probs_NHW, target_NHW, reduction="none")


@mask_loss("pixel")
def bce(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    of_probs: bool = False,
) -> Tensor | MapWithSlope:
    """Binary cross-entropy: the loss of YOLACT and the survey's baseline.

    Formula: mean(softplus(z) − z·t)

    Args:
        logits_NHW: raw mask scores.
        target_NHW: in [0, 1].
        weight_NHW: per pixel, 0 outside the region; None is all ones.
        of_probs: evaluate it from rounded probabilities as YOLACT's code does: a wrong pixel costs
            100 and has no gradient once p is 0 or 1 in float32.

    Returns:
        One value an instance, [N].

    Source: the survey, eq. 1.
    """
    if of_probs:
        return region_mean(bce_of_probs_map(logits_NHW, target_NHW), weight_NHW)
    return MapWithSlope(*bce_with_slope(logits_NHW, target_NHW), weight_NHW)


@mask_loss("pixel")
def weighted_bce(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    positive_weight: Positive = 1.0,
) -> MapWithSlope:
    """Binary cross-entropy whose mask pixels count w times.

    Formula: mean(w·t·softplus(−z) + (1 − t)·softplus(z))

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        positive_weight: w; above 1 a missed mask pixel costs more than a false one.

    Source: torch.nn.BCEWithLogitsLoss, pos_weight.
    """
    return MapWithSlope(*_two_sided(logits_NHW, target_NHW, positive_weight, 1.0), weight_NHW)


@mask_loss("pixel")
def balanced_bce(
    logits_NHW: Tensor, target_NHW: Tensor, weight_NHW: Tensor | None = None
) -> MapWithSlope:
    """Binary cross-entropy in which object and background weigh the same, however small one is.

    A mask without object, or without background, has nothing to balance: there both weigh 1,
    where the formula would give an empty mask a loss of 0 whatever is predicted.

    Formula: mean(β·t·softplus(−z) + (1 − β)·(1 − t)·softplus(z)), β = share of background

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.

    Source: Xie & Tu 2015, Holistically-nested edge detection, eq. 2.
    """
    object_share_N11 = region_mean(target_NHW, weight_NHW)[:, None, None]
    lone = (object_share_N11 <= 0) | (object_share_N11 >= 1)
    positive = torch.where(lone, 1, 1 - object_share_N11)
    negative = torch.where(lone, 1, object_share_N11)
    return MapWithSlope(*_two_sided(logits_NHW, target_NHW, positive, negative), weight_NHW)


@mask_loss("pixel")
def label_smoothing_bce(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    smoothing: UnitBelowOne = 0.05,
) -> MapWithSlope:
    """Binary cross-entropy against a target drawn towards ½: no pixel is worth certainty.

    Formula: BCE with t(1 − s) + s/2 in place of t

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        smoothing: s.

    Source: Szegedy et al. 2016; Mask R-CNN custom-loss page.
    """
    softened_NHW = target_NHW * (1 - smoothing) + smoothing / 2
    return MapWithSlope(*bce_with_slope(logits_NHW, softened_NHW), weight_NHW)


@mask_loss("pixel", per_target=squared_edge_distance_NHW)
def border_bce(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    map_NHW: Tensor | None = None,
    *,
    w0: NonNegative = 10.0,
    sigma: Positive = 5.0,
) -> MapWithSlope:
    """Binary cross-entropy that weighs pixels near the target's edge more.

    In U-Net d1 and d2 are the distances to the two nearest cells, whose class weight is w_c. One
    instance's mask has two regions, object and background: a pixel lies in one, at distance 0, and
    d1 + d2 is its distance to the other; w_c is 1. A mask without an edge is plain BCE.

    Formula: mean((1 + w0·exp(−(d1 + d2)²/(2σ²)))·BCE)

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        w0: extra weight at the edge.
        sigma: σ, width of the border in pixels.

    Source: Ronneberger et al. 2015, U-Net, eq. 2.
    """
    assert map_NHW is not None
    border_NHW = (map_NHW / (-2 * sigma**2)).exp_().mul_(w0).add_(1)
    value_NHW, slope_NHW = bce_with_slope(logits_NHW, target_NHW)
    return MapWithSlope(value_NHW.mul_(border_NHW), slope_NHW.mul_(border_NHW), weight_NHW)


@mask_loss("pixel")
def log_cosh_bce(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    naive: bool = False,
    of_probs: bool = False,
) -> Tensor | MapWithSlope:
    """Log-cosh of the binary cross-entropy of each pixel: quadratic where it is small.

    Formula: mean(ln cosh(BCE))

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        naive: the survey's code, ln((e^x + e^−x)/2), infinite where BCE exceeds 88.
        of_probs: as in `bce`.

    Source: the survey's README.
    """
    if naive or of_probs:
        entropy_NHW = (bce_of_probs_map if of_probs else bce_map)(logits_NHW, target_NHW)
        return region_mean(log_cosh_of(entropy_NHW, naive=naive), weight_NHW)
    entropy_NHW, error_NHW = bce_with_slope(logits_NHW, target_NHW)
    value_NHW, slope_NHW = log_cosh_far(entropy_NHW)
    return MapWithSlope(value_NHW, slope_NHW.mul_(error_NHW), weight_NHW)


@torch.no_grad()
def _two_sided(
    logits_NHW: Tensor, target_NHW: Tensor, positive: Tensor | float, negative: Tensor | float
) -> tuple[Tensor, Tensor]:
    """positive·t·softplus(−z) + negative·(1 − t)·softplus(z) and its slope."""
    missed_NHW = target_NHW * positive
    false_NHW = (1 - target_NHW) * negative
    both_NHW = missed_NHW + false_NHW
    value_NHW = (false_NHW * logits_NHW).addcmul_(both_NHW, F.logsigmoid(logits_NHW), value=-1)
    return value_NHW, torch.sigmoid(logits_NHW).mul_(both_NHW).sub_(missed_NHW)


Bce = module(bce)
WeightedBce = module(weighted_bce)
BalancedBce = module(balanced_bce)
LabelSmoothingBce = module(label_smoothing_bce)
BorderBce = module(border_bce)
LogCoshBce = module(log_cosh_bce)
