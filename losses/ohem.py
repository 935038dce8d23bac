"""YOLACT's class loss: softmax cross-entropy with hard negatives mined 3 to 1.

Class losses share one signature:

    loss(class_logits_BPC, class_target_BP, *, priors_P4=None, matched_boxes_BP4=None) -> scalar

the sum over the batch, where the target is 0 for background, label + 1 for a positive prior and -1
for a neutral one. `needs_geometry` says whether priors and matched boxes are looked at. Shape
letters: B images, P priors, C classes with background.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losses.precision import at_least_float32


class Ohem(nn.Module):
    """Cross-entropy of positives and of the hardest negatives, chosen image by image.

    Formula: Σ −ln softmax(z)_t over positives and the k·positives backgrounds of least p_background

    Args:
        negatives_per_positive: k, > 0.

    Source: Liu 2016, SSD; YOLACT's code.
    """

    needs_geometry = False

    def __init__(self, *, negatives_per_positive: float = 3.0) -> None:
        super().__init__()
        if not 0 < negatives_per_positive < float("inf"):
            raise ValueError(
                f"ohem: negatives_per_positive={negatives_per_positive!r}, "
                "must be a number in (0, ∞)"
            )
        self.negatives_per_positive = negatives_per_positive

    def forward(
        self,
        class_logits_BPC: Tensor,
        class_target_BP: Tensor,
        *,
        priors_P4: Tensor | None = None,  # noqa: ARG002
        matched_boxes_BP4: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """The loss summed over the batch; priors and boxes are not looked at."""
        check_classes("ohem", class_logits_BPC, class_target_BP)
        logits_BPC = at_least_float32(class_logits_BPC)
        positive_BP = class_target_BP > 0
        chosen_BP = positive_BP | self._hardest(logits_BPC.detach(), class_target_BP)
        return F.cross_entropy(logits_BPC[chosen_BP], class_target_BP[chosen_BP], reduction="sum")

    def _hardest(self, logits_BPC: Tensor, target_BP: Tensor) -> Tensor:
        # Positives and neutrals compete with hardness 0 and are struck out afterwards, as in
        # YOLACT's code: where negatives run short, they use up places.
        hardness_BP = torch.logsumexp(logits_BPC, dim=2) - logits_BPC[..., 0]
        hardness_BP = hardness_BP.masked_fill(target_BP != 0, 0)
        rank_BP = hardness_BP.argsort(dim=1, descending=True).argsort(dim=1)
        wanted_B = (target_BP > 0).sum(dim=1) * self.negatives_per_positive
        wanted_B = wanted_B.clamp(max=target_BP.shape[1] - 1)
        return (rank_BP < wanted_B[:, None]) & (target_BP == 0)


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
