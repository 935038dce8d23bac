"""Sums of a pixel loss and a region loss that the literature names; region losses."""

from torch import Tensor

from losses.contract import mask_loss, module
from losses.cross_entropy import bce_map
from losses.dices import dice_of
from losses.hardness import focal_with_slope
from losses.log_cosh import log_cosh_of
from losses.overlap import power_of, tversky_of
from losses.ranges import NonNegative, Unit
from losses.reductions import region_mean
from losses.slope import with_slope


@mask_loss("region")
def combo(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    alpha: Unit = 0.5,
    smooth: NonNegative = 1e-6,
) -> Tensor:
    """Cross-entropy and Dice, shared out.

    Formula: α·BCE + (1 − α)·Dice

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        alpha: α, the share of the cross-entropy.
        smooth: s of `dice`.

    Source: Taghanaki et al. 2018 (their Dice part is −Dice: the gradient is the same).
    """
    entropy_N = region_mean(bce_map(logits_NHW, target_NHW), weight_NHW)
    overlap_N = dice_of(logits_NHW, target_NHW, weight_NHW, smooth)
    return alpha * entropy_N + (1 - alpha) * overlap_N


@mask_loss("region")
def log_cosh_bce_dice(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    bce_weight: NonNegative = 1.0,
    dice_weight: NonNegative = 1.0,
    smooth: NonNegative = 1e-6,
) -> Tensor:
    """Log-cosh of cross-entropy and Dice together.

    The formula is read from the loss's name: we have not seen the authors' own.

    Formula: ln cosh(a·BCE + b·Dice)

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        bce_weight: a.
        dice_weight: b.
        smooth: s of `dice`.

    Source: Xin & Sun 2021.
    """
    entropy_N = region_mean(bce_map(logits_NHW, target_NHW), weight_NHW)
    overlap_N = dice_of(logits_NHW, target_NHW, weight_NHW, smooth)
    return log_cosh_of(bce_weight * entropy_N + dice_weight * overlap_N)


@mask_loss("region")
def unified_focal(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    focal_share: Unit = 0.5,
    fn_weight: Unit = 0.6,
    gamma: Unit = 0.5,
    smooth: NonNegative = 1e-6,
) -> Tensor:
    """Focal and focal Tversky with one pair of parameters between them.

    Formula: λ·focal(γ' = 1 − γ, α = δ) + (1 − λ)·tversky(1 − δ, δ)^γ

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        focal_share: λ.
        fn_weight: δ, weight of what is missed; what is false weighs 1 − δ.
        gamma: γ; greater damps the background's cross-entropy less and the overlap more.
        smooth: s of `tversky`.

    Source: Yeung et al. 2021, the symmetric form, for one foreground class.
    """
    focal_map = focal_with_slope(logits_NHW, target_NHW, 1 - gamma, fn_weight)
    focal_NHW = with_slope(logits_NHW, *focal_map)
    tversky_N = tversky_of(logits_NHW, target_NHW, weight_NHW, 1 - fn_weight, fn_weight, smooth)
    focal_N = region_mean(focal_NHW, weight_NHW)
    return focal_share * focal_N + (1 - focal_share) * power_of(tversky_N, gamma)


Combo = module(combo)
LogCoshBceDice = module(log_cosh_bce_dice)
UnifiedFocal = module(unified_focal)
