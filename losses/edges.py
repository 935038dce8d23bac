"""Losses that look at the mask's edge; region losses."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from losses.contract import mask_loss, module
from losses.distance import signed_distance_NHW
from losses.ranges import NonNegative, Positive
from losses.reductions import ratio, region_mean, region_sum


@mask_loss("region", looks_outside=True)
def boundary_iou(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    *,
    dilation_ratio: Positive = 0.02,
    smooth: NonNegative = 1e-6,
) -> Tensor:
    """Soft intersection over union of the masks' inner borders.

    Outside the region, and outside the image, is background: there a mask that is cut off has its
    border. Erosion is the minimum over a square of side 2d + 1.

    Formula: jaccard of m − erode_d(m), d = max(1, round(r·diagonal))

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        dilation_ratio: r, the border's width as a share of the mask's diagonal.
        smooth: s of `jaccard`.

    Source: Cheng et al. 2021, Boundary IoU, made soft.
    """
    distance = max(1, round(dilation_ratio * math.hypot(*logits_NHW.shape[1:])))
    probs_NHW = torch.sigmoid(logits_NHW)
    if weight_NHW is not None:
        probs_NHW = probs_NHW * (weight_NHW > 0)
        target_NHW = target_NHW * (weight_NHW > 0)
    found_NHW = probs_NHW - _eroded(probs_NHW, distance)
    truth_NHW = target_NHW - _eroded(target_NHW, distance)
    overlap_N = region_sum(found_NHW * truth_NHW, weight_NHW)
    union_N = region_sum(found_NHW + truth_NHW, weight_NHW) - overlap_N
    return 1 - ratio(overlap_N + smooth / 2, union_N + smooth / 2)


@mask_loss("region", per_target=signed_distance_NHW, can_be_negative=True)
def boundary(
    logits_NHW: Tensor,
    target_NHW: Tensor,  # noqa: ARG001
    weight_NHW: Tensor | None = None,
    map_NHW: Tensor | None = None,
) -> Tensor:
    """Mean distance of the probability from the target's edge: inside counts negative.

    Can be negative, and an empty mask is a local minimum: used beside a region loss, as in
    `dice_boundary`. A target without an edge, empty or full, gives 0.

    Formula: mean(p·φ), φ = distance to the object outside, 1 − distance to the background inside

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.

    Source: Kervadec et al. 2019.
    """
    assert map_NHW is not None
    # The innermost row of pixels lies on the edge: its φ is 0, as in the authors' code.
    phi_NHW = map_NHW + (map_NHW < 0).to(map_NHW.dtype)
    return region_mean(torch.sigmoid(logits_NHW) * phi_NHW, weight_NHW)


@mask_loss("region", per_target=signed_distance_NHW)
def hausdorff_dt(
    logits_NHW: Tensor,
    target_NHW: Tensor,
    weight_NHW: Tensor | None = None,
    map_NHW: Tensor | None = None,
    *,
    alpha: Positive = 2.0,
) -> Tensor:
    """Squared error weighed by the distances to both edges: the far-off pixels hurt most.

    The predicted edge is that of p > ½, made anew each time; a mask without an edge, empty or
    full, has distance 0 everywhere. Where neither has an edge the loss is 0 and trains nothing:
    used beside a region loss, as in `dice_hausdorff`.

    Formula: mean((p − t)²·(d_p^α + d_t^α))

    Args:
        logits_NHW, target_NHW, weight_NHW: as in `bce`.
        alpha: α, how much far pixels matter.

    Source: Karimi & Salcudean 2019.
    """
    assert map_NHW is not None
    probs_NHW = torch.sigmoid(logits_NHW)
    predicted_NHW = signed_distance_NHW(logits_NHW.detach() + 0.5).to(map_NHW.dtype)
    reach_NHW = predicted_NHW.abs().pow(alpha) + map_NHW.abs().pow(alpha)
    return region_mean((probs_NHW - target_NHW).square() * reach_NHW, weight_NHW)


def _eroded(map_NHW: Tensor, distance: int) -> Tensor:
    """Minimum over the square of side 2·distance + 1, zero outside; one axis after the other."""
    side = 2 * distance + 1
    padded = F.pad(-map_NHW, (distance,) * 4)
    along_rows = F.max_pool2d(padded, (1, side), stride=1)
    return -F.max_pool2d(along_rows, (side, 1), stride=1)


BoundaryIou = module(boundary_iou)
Boundary = module(boundary)
HausdorffDt = module(hausdorff_dt)
