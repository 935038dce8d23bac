"""Class losses: their one signature, and the focal losses.

    loss(class_logits_BPC, class_target_BP, *, priors_P4=None, matched_boxes_BP4=None) -> scalar

the sum over the batch, where the target is 0 for background, label + 1 for a positive prior and -1
for a neutral one. `needs_geometry` says whether priors (cx, cy, w, h) and each prior's best ground
truth (x1, y1, x2, y2), relative to the image, are looked at. Shape letters: B images, P priors,
C classes with background.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losses.precision import at_least_float32
from losses.ranges import NonNegative, Unit, bind


class SigmoidFocal(nn.Module):
    """Focal loss of every foreground class against all else, over all priors but the neutral.

    The logit of class 0 is not trained: use it where detections are read from sigmoids.

    Formula: Σ α_t·(1 − p_t)^γ·BCE

    Args:
        gamma: γ, the damping; 0 is plain BCE.
        alpha: weight of a prior's own class, other classes get 1 − α; none weighs both 1.

    Source: Lin et al. 2017, RetinaNet.
    """

    needs_geometry = False

    def __init__(
        self, *, gamma: NonNegative = 2.0, alpha: Unit | None = 0.25, name: str = "sigmoid_focal"
    ) -> None:
        super().__init__()
        self.name = name
        self.arguments = bind(type(self), name, gamma=gamma, alpha=alpha)

    def forward(
        self,
        class_logits_BPC: Tensor,
        class_target_BP: Tensor,
        *,
        priors_P4: Tensor | None = None,  # noqa: ARG002
        matched_boxes_BP4: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """The loss summed over the batch; priors and boxes are not looked at."""
        check_classes(self.name, class_logits_BPC, class_target_BP)
        known_BP = class_target_BP >= 0
        logits_NC = at_least_float32(class_logits_BPC)[known_BP][:, 1:]
        hot_NC = F.one_hot(class_target_BP[known_BP], class_logits_BPC.shape[2])[:, 1:]
        hot_NC = hot_NC.to(logits_NC.dtype)
        entropy_NC = F.binary_cross_entropy_with_logits(logits_NC, hot_NC, reduction="none")
        miss_NC = torch.sigmoid(logits_NC * (1 - 2 * hot_NC))
        return _damped(entropy_NC, miss_NC, hot_NC, self.arguments)


class SoftmaxFocal(nn.Module):
    """Focal loss of the softmax over background and classes, over all priors but the neutral.

    Formula: Σ −α_t·(1 − p_t)^γ·ln p_t, p = softmax(z)

    Args:
        gamma: γ, the damping; 0 is plain cross-entropy.
        alpha: weight of positives, backgrounds get 1 − α; none weighs both 1.

    Source: Lin et al. 2017; YOLACT's code, where it is an option.
    """

    needs_geometry = False

    def __init__(
        self, *, gamma: NonNegative = 2.0, alpha: Unit | None = 0.25, name: str = "softmax_focal"
    ) -> None:
        super().__init__()
        self.name = name
        self.arguments = bind(type(self), name, gamma=gamma, alpha=alpha)

    def forward(
        self,
        class_logits_BPC: Tensor,
        class_target_BP: Tensor,
        *,
        priors_P4: Tensor | None = None,  # noqa: ARG002
        matched_boxes_BP4: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """The loss summed over the batch; priors and boxes are not looked at."""
        check_classes(self.name, class_logits_BPC, class_target_BP)
        known_BP = class_target_BP >= 0
        target_N = class_target_BP[known_BP]
        entropy_N = F.cross_entropy(
            at_least_float32(class_logits_BPC)[known_BP], target_N, reduction="none"
        )
        positive_N = (target_N > 0).to(entropy_N.dtype)
        return _damped(entropy_N, -torch.expm1(-entropy_N), positive_N, self.arguments)


def _damped(entropy: Tensor, miss: Tensor, positive: Tensor, arguments: dict[str, Any]) -> Tensor:
    gamma, alpha = arguments["gamma"], arguments["alpha"]
    if gamma:
        entropy = entropy * miss.clamp(min=torch.finfo(miss.dtype).tiny).pow(gamma)
    if alpha is not None:
        entropy = entropy * (positive * (2 * alpha - 1) + (1 - alpha))
    return entropy.sum()


def check_classes(name: str, class_logits_BPC: Tensor, class_target_BP: Tensor) -> None:
    """Refuse logits that are not [B, P, C] or a target that is not integer [B, P].

    Raises:
        ValueError: naming the loss and the shapes.
        TypeError: a target of floating point.
    """
    if class_logits_BPC.ndim != 3 or class_target_BP.shape != class_logits_BPC.shape[:2]:
        shapes = f"{tuple(class_logits_BPC.shape)} and {tuple(class_target_BP.shape)}"
        raise ValueError(f"{name}: logits and target of shapes {shapes}, must be [B, P, C], [B, P]")
    if class_target_BP.is_floating_point():
        raise TypeError(f"{name}: target is {class_target_BP.dtype}, must be integer classes")
