"""The Dice family: overlap over the sum of sizes; region losses.

Over the region: I = Σpt, P = Σp, T = Σt.
"""

import torch
from torch import Tensor

from losses.contract import mask_loss, module
from losses.log_cosh import log_cosh_of
from losses.ranges import NonNegative
from losses.reductions import ratio, region_mean, region_sum
from losses.sums import overlap_sums


def dice_of(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None,
    smooth: float,
    squared: bool = False,
) -> Tensor:
    """1 − (2I + s)/(P + T + s) [N]; `squared` takes Σp² + Σt² below."""
    overlap_N, found_N = overlap_sums(logits_NHW, target_NHW, weight_NHW, squared)
    weighted_NHW = target_NHW if weight_NHW is None else target_NHW * weight_NHW
    truth_N = region_sum(weighted_NHW, target_NHW if squared else None)
    return 1 - ratio(2 * overlap_N + smooth, found_N + truth_N + smooth)


def _dice_map(logits_NHW: Tensor, target_NHW: Tensor, smooth: float) -> Tensor:
    probs_NHW = torch.sigmoid(logits_NHW)
    return 1 - (2 * probs_NHW * target_NHW + smooth) / (probs_NHW + target_NHW + smooth)


@mask_loss("region", grouped=False)
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

    Alone and shown the box only it may end at the filled box; `full_map` keeps it from that.

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
    return dice_of(logits_NHW, target_NHW, weight_NHW, smooth)


@mask_loss("region", grouped=False)
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
    return dice_of(logits_NHW, target_NHW, weight_NHW, smooth, squared=True)


@mask_loss("region", grouped=False)
def generalised_dice(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    smooth: NonNegative = 1e-6,
) -> Tensor:
    """Dice over object and background together, each weighed by its size to the power −2.

    Where one of the two has no pixel its weight would be infinite: there both weigh the same.

    Formula: 1 − (2Σ_l w_l·I_l + s)/(Σ_l w_l·(P_l + T_l) + s), w_l ∝ 1/T_l²

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        smooth: s, where the two weights add up to 1.

    Source: Sudre et al. 2017.
    """
    overlap_N, found_N = overlap_sums(logits_NHW, target_NHW, weight_NHW)
    truth_N = region_sum(target_NHW, weight_NHW)
    pixels_N = torch.full_like(truth_N, target_NHW[0].numel())
    if weight_NHW is not None:
        pixels_N = weight_NHW.sum(dim=(1, 2))
    empty_N = pixels_N - truth_N
    squares_N = truth_N.square() + empty_N.square()
    lone_N = (truth_N <= 0) | (empty_N <= 0)
    object_N = torch.where(lone_N, 0.5, empty_N.square() / torch.where(lone_N, 1, squares_N))
    sizes_N = found_N + truth_N
    both_N = object_N * overlap_N + (1 - object_N) * (pixels_N - sizes_N + overlap_N)
    either_N = object_N * sizes_N + (1 - object_N) * (2 * pixels_N - sizes_N)
    return 1 - ratio(2 * both_N + smooth, either_N + smooth)


@mask_loss("region", grouped=False)
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
        map_NHW = log_cosh_of(_dice_map(logits_NHW, target_NHW, pixel_smooth), naive=naive)
        return region_mean(map_NHW, weight_NHW)
    return log_cosh_of(dice_of(logits_NHW, target_NHW, weight_NHW, smooth, squared), naive=naive)


Dice = module(dice)
DiceSquared = module(dice_squared)
GeneralisedDice = module(generalised_dice)
LogCoshDice = module(log_cosh_dice)
