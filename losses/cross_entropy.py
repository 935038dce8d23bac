"""Binary cross-entropy from logits and its kin; pixel losses.

z logits, t target, w the region's weight; everywhere softplus(-z) stands for -ln p and softplus(z)
for -ln(1 - p): the form with probabilities has no gradient from z = 17 on in float32.
"""

from torch import Tensor
from torch.nn import functional as F

from losses.contract import mask_loss, module
from losses.reductions import log_cosh_of, region_mean


def bce_map(logits_NHW: Tensor, target_NHW: Tensor) -> Tensor:
    """softplus(z) − z·t, pixel by pixel."""
    return F.binary_cross_entropy_with_logits(logits_NHW, target_NHW, reduction="none")


@mask_loss("pixel")
def bce(logits_NHW: Tensor, target_NHW: Tensor, weight_NHW: Tensor | None = None) -> Tensor:
    """Binary cross-entropy: the loss of YOLACT and of the survey's baseline.

    Formula: mean(softplus(z) − z·t)

    Args:
        logits_NHW: raw mask scores.
        target_NHW: in [0, 1].
        weight_NHW: per pixel, 0 outside the region; None is all ones.

    Returns:
        One value an instance, [N].

    Source: the survey's eq. 1.
    """
    return region_mean(bce_map(logits_NHW, target_NHW), weight_NHW)


@mask_loss("pixel")
def log_cosh_bce(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    naive: bool = False,
) -> Tensor:
    """Log-cosh of the binary cross-entropy of each pixel.

    Formula: mean(ln cosh(BCE))

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        naive: the survey's code, ln((e^x + e^−x)/2), infinite where BCE exceeds 88.

    Source: the survey's README.
    """
    return region_mean(log_cosh_of(bce_map(logits_NHW, target_NHW), naive), weight_NHW)


Bce = module(bce)
LogCoshBce = module(log_cosh_bce)
