"""YOLACT's class loss: softmax cross-entropy with hard negatives mined 3 to 1.

Class losses share one signature:

    loss(class_logits_BPC, class_target_BP, *, priors_P4=None, matched_boxes_BP4=None) -> scalar

the sum over the batch, where the target is 0 for background, label + 1 for a positive prior and -1
for a neutral one. `needs_geometry` says whether priors and matched boxes are looked at. Shape
letters: B images, P priors, C classes with background.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losses.precision import at_least_float32

# Logits looked at at once: on a CPU few enough to stay in its cache, on a GPU a bound on memory.
_CPU_BLOCK = 1 << 18
_GPU_BLOCK = 1 << 28


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
        hardness_BP = _hardness(logits_BPC).masked_fill(target_BP != 0, 0)
        wanted_B = (target_BP > 0).sum(dim=1) * self.negatives_per_positive
        wanted_B = wanted_B.clamp(max=target_BP.shape[1] - 1)
        # A GPU ranks all: asking it how many are wanted would wait for it.
        ranked = target_BP.shape[1] if wanted_B.is_cuda else math.ceil(wanted_B.max())
        order_BK = hardness_BP.topk(ranked, dim=1).indices
        is_wanted_BK = torch.arange(ranked, device=order_BK.device) < wanted_B[:, None]
        chosen_BP = torch.zeros_like(target_BP, dtype=torch.bool)
        return chosen_BP.scatter_(1, order_BK, is_wanted_BK) & (target_BP == 0)


def _hardness(logits_BPC: Tensor) -> Tensor:
    """−ln p_background of each prior [B, P], in blocks: at COCO's size several times faster."""
    rows_NC = logits_BPC.flatten(0, 1)
    block = max(1, (_GPU_BLOCK if rows_NC.is_cuda else _CPU_BLOCK) // rows_NC.shape[1])
    parts = [-F.log_softmax(part_nC, dim=1)[:, 0] for part_nC in rows_NC.split(block)]
    return torch.cat(parts).view(logits_BPC.shape[:2])


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
