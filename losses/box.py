"""Box losses: how far a predicted box is from its ground truth, one value a positive prior.

    loss(predicted_loc_N4, target_loc_N4, priors_N4) -> Tensor of shape (N,)

Offsets are in SSD's code with variances 0.1 and 0.2, priors cx, cy, w, h relative to the image.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import (
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
)

from losses.precision import at_least_float32
from losses.ranges import Positive, bind

_CENTRE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2
# A side is at most this many times its prior's, and at least its inverse: beyond, an exponential
# overflows, or a box has no sides whose ratio CIoU could look at.
_MAX_LOG_RATIO = math.log(1000.0)


class SmoothL1(nn.Module):
    """Smooth L1 of the encoded offsets, summed over the four: YOLACT's own.

    Formula: Σ(a²/(2β) if |a| < β else |a| − β/2), a = predicted − target

    Args:
        beta: β, where the quadratic part ends.

    Source: Girshick 2015, Fast R-CNN.
    """

    def __init__(self, *, beta: Positive = 1.0, name: str = "smooth_l1") -> None:
        super().__init__()
        self.name = name
        self.arguments = bind(type(self), name, beta=beta)

    def forward(self, predicted_N4: Tensor, target_N4: Tensor, priors_N4: Tensor) -> Tensor:
        """Values [N] of encoded boxes [N, 4]; the priors are not looked at."""
        check_boxes(self.name, predicted_N4, target_N4, priors_N4)
        predicted_N4, target_N4 = at_least_float32(predicted_N4), at_least_float32(target_N4)
        error_N4 = F.smooth_l1_loss(
            predicted_N4, target_N4, reduction="none", beta=self.arguments["beta"]
        )
        return error_N4.sum(dim=1)


class _DecodedIou(nn.Module):
    """A loss of the decoded corners: torchvision's, on x1, y1, x2, y2 relative to the image."""

    of_corners: Callable[..., Tensor]

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__()
        self.name = name or type(self).__name__.lower()
        self.arguments: dict[str, float] = {}

    def forward(self, predicted_N4: Tensor, target_N4: Tensor, priors_N4: Tensor) -> Tensor:
        """Values [N] of encoded boxes [N, 4] and their priors [N, 4]."""
        check_boxes(self.name, predicted_N4, target_N4, priors_N4)
        # In float64: the corners of a small box far away are the same number in float32.
        priors_N4 = priors_N4.double()
        loss_N: Tensor = type(self).of_corners(
            decoded(predicted_N4.double(), priors_N4),
            decoded(target_N4.double(), priors_N4),
            reduction="none",
        )
        return loss_N.to(at_least_float32(predicted_N4).dtype)


class Giou(_DecodedIou):
    """Generalised intersection over union.

    Formula: 1 − IoU + (hull − union)/hull

    Source: Rezatofighi et al. 2019.
    """

    of_corners = staticmethod(generalized_box_iou_loss)


class Diou(_DecodedIou):
    """Intersection over union and the distance of the centres.

    Formula: 1 − IoU + (centre distance)²/(hull diagonal)²

    Source: Zheng et al. 2020.
    """

    of_corners = staticmethod(distance_box_iou_loss)


class Ciou(_DecodedIou):
    """Distance-IoU and the likeness of the sides' ratios.

    Formula: diou + α·v, v = (4/π²)·(atan(w_t/h_t) − atan(w/h))², α = v/(1 − IoU + v)

    Source: Zheng et al. 2020.
    """

    of_corners = staticmethod(complete_box_iou_loss)


def decoded(loc_N4: Tensor, priors_N4: Tensor) -> Tensor:
    """Corners x1, y1, x2, y2 [N, 4], relative to the image, of SSD's offsets."""
    loc_N4, priors_N4 = at_least_float32(loc_N4), at_least_float32(priors_N4)
    centres_N2 = priors_N4[:, :2] + loc_N4[:, :2] * _CENTRE_VARIANCE * priors_N4[:, 2:]
    log_ratios_N2 = (loc_N4[:, 2:] * _SIZE_VARIANCE).clamp(-_MAX_LOG_RATIO, _MAX_LOG_RATIO)
    halves_N2 = priors_N4[:, 2:] * log_ratios_N2.exp() / 2
    return torch.cat([centres_N2 - halves_N2, centres_N2 + halves_N2], dim=1)


def check_boxes(name: str, predicted_N4: Tensor, target_N4: Tensor, priors_N4: Tensor) -> None:
    """Refuse boxes that are not [N, 4] all three.

    Raises:
        ValueError: naming the loss and the shapes.
    """
    shapes = [tuple(each.shape) for each in (predicted_N4, target_N4, priors_N4)]
    if len(set(shapes)) != 1 or predicted_N4.ndim != 2 or shapes[0][1] != 4:
        raise ValueError(f"{name}: predicted, target, priors of shapes {shapes}, must be [N, 4]")
