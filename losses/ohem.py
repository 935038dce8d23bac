"""YOLACT's class loss: softmax cross-entropy with hard negatives mined 3 to 1."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losses.classes import check_classes
from losses.precision import at_least_float32
from losses.ranges import NonNegative, Positive, bind

# Logits looked at at once: on a CPU few enough to stay in its cache, on a GPU a bound on memory.
_CPU_BLOCK = 1 << 18
_GPU_BLOCK = 1 << 28


class Ohem(nn.Module):
    """Cross-entropy of positives and of the hardest negatives, chosen image by image.

    Formula: Σ −ln softmax(z)_t over positives and the k·positives backgrounds of least p_0

    Args:
        negatives_per_positive: k.
        negatives_without_positives: backgrounds of an image that holds no positive; 0, as in
            YOLACT's code, lets false detections on empty images go unpunished.

    Source: Liu et al. 2016, SSD; YOLACT's code.
    """

    needs_geometry = False

    def __init__(
        self,
        *,
        negatives_per_positive: Positive = 3.0,
        negatives_without_positives: NonNegative = 0,
        name: str = "ohem",
    ) -> None:
        super().__init__()
        self.name = name
        self.arguments = bind(
            type(self),
            name,
            negatives_per_positive=negatives_per_positive,
            negatives_without_positives=negatives_without_positives,
        )

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
        logits_BPC = at_least_float32(class_logits_BPC)
        negatives_BP = hardest_negatives(
            logits_BPC.detach(),
            class_target_BP,
            self.arguments["negatives_per_positive"],
            self.arguments["negatives_without_positives"],
        )
        chosen_BP = (class_target_BP > 0) | negatives_BP
        return F.cross_entropy(logits_BPC[chosen_BP], class_target_BP[chosen_BP], reduction="sum")


def hardest_negatives(
    logits_BPC: Tensor,
    target_BP: Tensor,
    negatives_per_positive: float,
    negatives_without_positives: float = 0,
) -> Tensor:
    """True at each image's backgrounds of least p_0, k for each positive; so many without any."""
    # Positives and neutrals compete with hardness 0 and are struck out afterwards, as in YOLACT's
    # code: where negatives run short, they use up places.
    hardness_BP = _hardness(logits_BPC).masked_fill(target_BP != 0, 0)
    positives_B = (target_BP > 0).sum(dim=1)
    wanted_B = positives_B * negatives_per_positive
    wanted_B = wanted_B.where(positives_B > 0, negatives_without_positives)
    wanted_B = wanted_B.clamp(max=target_BP.shape[1] - 1)
    # A GPU ranks all: asking it how many are wanted would wait for it.
    ranked = target_BP.shape[1] if wanted_B.is_cuda else math.ceil(wanted_B.max())
    order_BK = hardness_BP.topk(ranked, dim=1).indices
    is_wanted_BK = torch.arange(ranked, device=order_BK.device) < wanted_B[:, None]
    chosen_BP = torch.zeros_like(target_BP, dtype=torch.bool)
    return chosen_BP.scatter_(1, order_BK, is_wanted_BK) & (target_BP == 0)


def _hardness(logits_BPC: Tensor) -> Tensor:
    """−ln p_0 of each prior [B, P], in blocks: at COCO's size several times faster."""
    rows_NC = logits_BPC.flatten(0, 1)
    block = max(1, (_GPU_BLOCK if rows_NC.is_cuda else _CPU_BLOCK) // rows_NC.shape[1])
    parts = [-F.log_softmax(part_nC, dim=1)[:, 0] for part_nC in rows_NC.split(block)]
    return torch.cat(parts).view(logits_BPC.shape[:2])
