"""Soft objectness: a prior is the more of an object the nearer it lies to the object's centre.

Shape letters: B images, P priors, C classes with background. s is the soft score, p the predicted
objectness, 1 − softmax(z)_0, from its own logit ln Σ_c≥1 exp(z_c) − z_0.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losses.classes import check_classes
from losses.ohem import hardest_negatives
from losses.precision import at_least_float32
from losses.ranges import NonNegative, Positive, bind


def centre_distance(priors_P4: Tensor, boxes_BP4: Tensor) -> Tensor:
    """d = √((Δx/(w/2))² + (Δy/(h/2))²) [B, P]: 0 at the box's centre, 1 where a side is met.

    Args:
        priors_P4: cx, cy, w, h.
        boxes_BP4: x1, y1, x2, y2, each prior's box.
    """
    sides_BP2 = (boxes_BP4[..., 2:] - boxes_BP4[..., :2]).clamp(min=1e-6)
    centres_BP2 = (boxes_BP4[..., 2:] + boxes_BP4[..., :2]) / 2
    return torch.linalg.vector_norm((priors_P4[:, :2] - centres_BP2) / (sides_BP2 / 2), dim=-1)


def soft_score_1(distance: Tensor, power: int = 2) -> Tensor:
    """(d − 1)^n inside d < 1, 0 outside; n even."""
    return torch.where(distance < 1, (distance - 1).pow(power), 0)


def soft_score_2(distance: Tensor, sigma: float = 1.0) -> Tensor:
    """exp(−d²/(2σ²))."""
    return torch.exp(distance.square() / (-2 * sigma**2))


def objectness_loss_1(logit: Tensor, score: Tensor, gamma: float = 2.0) -> Tensor:
    """−(1 − s)^γ·ln(1 − p): what is predicted where nothing should be, forgiven near a centre."""
    return (1 - score).pow(gamma) * F.softplus(logit)


def objectness_loss_2(logit: Tensor, score: Tensor) -> Tensor:
    """BCE(s, p) − BCE(s, s): 0 where the prediction is the soft score."""
    entropy = -(torch.xlogy(score, score) + torch.xlogy(1 - score, 1 - score))
    return F.binary_cross_entropy_with_logits(logit, score, reduction="none") - entropy


def objectness_loss_3(logit: Tensor, score: Tensor) -> Tensor:
    """(1 − s)·(BCE(s, p) − BCE(s, s)): the same, forgiven near a centre."""
    return (1 - score) * objectness_loss_2(logit, score)


class SoftObjectness(nn.Module):
    """Softmax cross-entropy of the positives, and of objectness against a soft score.

    Objectness is learned from the positives and the hardest negatives, mined as in `ohem`. Loss 1
    holds predictions down and lifts none: the cross-entropy of the positives does. The authors
    found that soft objectness helps early training and lowers the final mAP.

    Formula: Σ −ln softmax(z)_t over positives + Σ loss(s, p) over positives and hard negatives

    Args:
        score: 1 is (d − 1)^n inside d < 1, 2 is exp(−d²/(2σ²)).
        loss: 1 is −(1 − s)^γ·ln(1 − p), 2 is BCE(s, p) − BCE(s, s), 3 is (1 − s)·loss 2.
        power: n of score 1, even.
        sigma: σ of score 2.
        gamma: γ of loss 1.
        negatives_per_positive: as in `ohem`.

    Raises:
        ValueError: for a score, loss or power that is none of these, or a value out of range.

    Source: the soft-objectness scores and losses of the survey's kin.
    """

    needs_geometry = True

    def __init__(
        self,
        *,
        score: int = 2,
        loss: int = 2,
        power: int = 2,
        sigma: Positive = 1.0,
        gamma: NonNegative = 2.0,
        negatives_per_positive: Positive = 3.0,
        name: str = "soft_objectness",
    ) -> None:
        super().__init__()
        self.name = name
        if score not in (1, 2):
            raise ValueError(f"{name}: score={score!r}, must be 1 or 2")
        if loss not in (1, 2, 3):
            raise ValueError(f"{name}: loss={loss!r}, must be 1, 2 or 3")
        if power < 2 or power % 2:
            raise ValueError(f"{name}: power={power!r}, must be an even number from 2 on")
        self.score, self.loss, self.power = score, loss, power
        self.arguments = bind(
            type(self),
            name,
            sigma=sigma,
            gamma=gamma,
            negatives_per_positive=negatives_per_positive,
        )

    def forward(
        self,
        class_logits_BPC: Tensor,
        class_target_BP: Tensor,
        *,
        priors_P4: Tensor | None = None,
        matched_boxes_BP4: Tensor | None = None,
    ) -> Tensor:
        """The loss summed over the batch.

        Args:
            class_logits_BPC: raw class scores.
            class_target_BP: 0 background, label + 1 positive, -1 neutral.
            priors_P4: cx, cy, w, h relative to the image.
            matched_boxes_BP4: each prior's best ground truth, x1, y1, x2, y2; zeros without one.

        Raises:
            ValueError: without priors or boxes, or for shapes that do not fit.
        """
        check_classes(self.name, class_logits_BPC, class_target_BP)
        if priors_P4 is None or matched_boxes_BP4 is None:
            raise ValueError(f"{self.name}: pass priors_P4 and matched_boxes_BP4")
        logits_BPC = at_least_float32(class_logits_BPC)
        positive_BP = class_target_BP > 0
        entropy = F.cross_entropy(
            logits_BPC[positive_BP], class_target_BP[positive_BP], reduction="sum"
        )
        negatives_per_positive = self.arguments["negatives_per_positive"]
        chosen_BP = positive_BP | hardest_negatives(
            logits_BPC.detach(), class_target_BP, negatives_per_positive
        )
        score_BP = self._score(priors_P4, matched_boxes_BP4).to(logits_BPC.dtype)
        logits_NC = logits_BPC[chosen_BP]
        logit_N = torch.logsumexp(logits_NC[:, 1:], dim=1) - logits_NC[:, 0]
        return entropy + self._loss(logit_N, score_BP[chosen_BP]).sum()

    @torch.no_grad()
    def _score(self, priors_P4: Tensor, boxes_BP4: Tensor) -> Tensor:
        distance_BP = centre_distance(at_least_float32(priors_P4), at_least_float32(boxes_BP4))
        if self.score == 1:
            return soft_score_1(distance_BP, self.power)
        return soft_score_2(distance_BP, self.arguments["sigma"])

    def _loss(self, logit_N: Tensor, score_N: Tensor) -> Tensor:
        if self.loss == 1:
            return objectness_loss_1(logit_N, score_N, self.arguments["gamma"])
        return (objectness_loss_2 if self.loss == 2 else objectness_loss_3)(logit_N, score_N)
