"""The Dice family: overlap over the sum of sizes; region losses.

Over the region: I = Σpt, P = Σp, T = Σt.
"""

import torch
from torch import Tensor

from losses.contract import mask_loss, module
from losses.ranges import NonNegative
from losses.reductions import log_cosh_of, ratio, region_mean, region_sum


def dice_of(
    probs_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None,
    smooth: float,
    squared: bool = False,
) -> Tensor:
    """1 − (2I + s)/(P + T + s) [N]; `squared` takes Σp² + Σt² below."""
    weighted_NHW = target_NHW if weight_NHW is None else target_NHW * weight_NHW
    overlap_N = region_sum(probs_NHW, weighted_NHW)
    sizes_NHW = (
        torch.addcmul(target_NHW.square(), probs_NHW, probs_NHW)
        if squared
        else probs_NHW + target_NHW
    )
    sizes_N = region_sum(sizes_NHW, weight_NHW)
    return 1 - ratio(2 * overlap_N + smooth, sizes_N + smooth)


def _dice_map(logits_NHW: Tensor, target_NHW: Tensor, smooth: float) -> Tensor:
    probs_NHW = torch.sigmoid(logits_NHW)
    return 1 - (2 * probs_NHW * target_NHW + smooth) / (probs_NHW + target_NHW + smooth)


@mask_loss("region")
def dice(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    smooth: NonNegative = 1e-6,
    per_pixel: bool = False,
    pixel_smooth: NonNegative = 0.1,
) -> Tensor:
    """Soft Dice loss.

    Formula: 1 − (2I + s)/(P + T + s)

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        smooth: s; with 0 an empty mask that is found empty still scores 1.
        per_pixel: evaluate the formula at each pixel and take the mean, as the survey's code does.
        pixel_smooth: s where `per_pixel`.

    Source: Mask R-CNN custom-loss page; Sudre et al. 2017.
    """
    if per_pixel:
        return region_mean(_dice_map(logits_NHW, target_NHW, pixel_smooth), weight_NHW)
    return dice_of(torch.sigmoid(logits_NHW), target_NHW, weight_NHW, smooth)


@mask_loss("region")
def dice_squared(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    smooth: NonNegative = 1e-6,
) -> Tensor:
    """Soft Dice loss with squared sizes.

    Formula: 1 − (2I + s)/(Σp² + Σt² + s)

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        smooth: s; with 0 an empty mask that is found empty still scores 1.

    Source: the survey's eq. 4; Milletari et al. 2016, V-Net.
    """
    return dice_of(torch.sigmoid(logits_NHW), target_NHW, weight_NHW, smooth, squared=True)


@mask_loss("region")
def log_cosh_dice(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    smooth: NonNegative = 1e-6,
    squared: bool = True,
    naive: bool = False,
    per_pixel: bool = False,
    pixel_smooth: NonNegative = 0.1,
) -> Tensor:
    """Log-cosh of the Dice loss: at most ln cosh 1 = 0.434, its gradient damped by tanh(dice).

    Formula: ln cosh(1 − (2I + s)/(Σp² + Σt² + s))

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        smooth: s.
        squared: squared sizes, as in `dice_squared`; false takes those of `dice`.
        naive: ln((e^x + e^−x)/2), as the survey's code writes it.
        per_pixel: evaluate dice and log-cosh at each pixel and take the mean, as the survey's code
            does, with plain sizes.
        pixel_smooth: s where `per_pixel`.

    Source: the survey's eq. 5; Jadon 2020.
    """
    if per_pixel:
        map_NHW = log_cosh_of(_dice_map(logits_NHW, target_NHW, pixel_smooth), naive)
        return region_mean(map_NHW, weight_NHW)
    probs_NHW = torch.sigmoid(logits_NHW)
    return log_cosh_of(dice_of(probs_NHW, target_NHW, weight_NHW, smooth, squared), naive)


Dice = module(dice)
DiceSquared = module(dice_squared)
LogCoshDice = module(log_cosh_dice)
