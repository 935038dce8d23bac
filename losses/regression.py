"""Losses of the error p − t of a probability; pixel losses."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from losses.contract import mask_loss, module
from losses.log_cosh import log_cosh_near
from losses.ranges import Positive
from losses.reductions import region_mean
from losses.slope import MapWithSlope


class HuberIsHalfMse(UserWarning):
    """A Huber loss whose delta is out of reach of an error of probabilities."""


@mask_loss("pixel")
def mse(logits_NHW: Tensor, target_NHW: Tensor, weight_NHW: Tensor | None = None) -> Tensor:
    """Mean squared error of the probability.

    Formula: mean((p − t)²)

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.

    Source: the survey's eq. 2.
    """
    return region_mean((torch.sigmoid(logits_NHW) - target_NHW).square(), weight_NHW)


@mask_loss("pixel")
def mae(logits_NHW: Tensor, target_NHW: Tensor, weight_NHW: Tensor | None = None) -> Tensor:
    """Mean absolute error of the probability.

    Formula: mean(|p − t|)

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.

    Source: Ghosh et al. 2017, Robust loss functions under label noise.
    """
    return region_mean((torch.sigmoid(logits_NHW) - target_NHW).abs(), weight_NHW)


@mask_loss("pixel")
def huber(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    delta: Positive = 1.0,
) -> Tensor:
    """Huber loss of the probability: quadratic up to δ, linear beyond.

    The survey's eq. 3 is misprinted (δ²/2 is meant). The error of a probability is at most 1, so
    every δ ≥ 1 is exactly MSE/2; making such a Module warns `HuberIsHalfMse`.

    Formula: mean(a²/2 if |a| ≤ δ else δ·(|a| − δ/2)), a = p − t

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        delta: where the quadratic part ends.

    Source: Huber 1964.
    """
    probs_NHW = torch.sigmoid(logits_NHW)
    return region_mean(
        F.huber_loss(probs_NHW, target_NHW, reduction="none", delta=delta), weight_NHW
    )


@mask_loss("pixel")
def log_cosh(
    logits_NHW: Tensor, target_NHW: Tensor, weight_NHW: Tensor | None = None
) -> MapWithSlope:
    """Log-cosh of the error of the probability: a smooth Huber loss.

    Formula: mean(ln cosh(p − t))

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.

    Source: Jadon 2020, A survey of loss functions for semantic segmentation.
    """
    with torch.no_grad():
        probs_NHW = torch.sigmoid(logits_NHW)
        value_NHW, slope_NHW = log_cosh_near(probs_NHW - target_NHW)
        slope_NHW.mul_(probs_NHW.addcmul_(probs_NHW, probs_NHW, value=-1))
    return MapWithSlope(value_NHW, slope_NHW, weight_NHW)


def _warn_of_half_mse(arguments: Mapping[str, Any]) -> None:
    delta = arguments["delta"]
    if delta >= 1:
        warnings.warn(
            f"huber: delta={delta:g} is never reached by an error of probabilities, which is at "
            "most 1: this is exactly mse/2; choose delta < 1 for another loss",
            HuberIsHalfMse,
            stacklevel=4,
        )


Mse = module(mse)
Mae = module(mae)
Huber = module(huber, notice=_warn_of_half_mse)
LogCosh = module(log_cosh)
