"""The priors of a batch that may become detections, gathered and padded.

Of tens of thousands of priors a trained network is confident of a few hundred; everything after
this looks only at those.

Shape letters: B images, P priors, C classes with background, F foreground classes, K coefficients,
Q candidates of an image (padded to the longest image), M candidates of the whole batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from yolactpp.ops.boxes import decode
from yolactpp.structures import HeadOutputs

# Score of a row that is padding: below every probability.
ABSENT = -1.0
# Slack of the test on logits, far above float32's rounding; the test on probabilities decides.
LOGIT_SLACK = 1e-2


@dataclass
class Candidates:
    """Confident priors in prior order; padding has probability ABSENT.

    Args:
        boxes_BQ4: x1, y1, x2, y2 relative to the image, unclipped.
        probs_BQF: of the foreground classes.
        coefficients_BQK: mask coefficients.
    """

    boxes_BQ4: Tensor
    probs_BQF: Tensor
    coefficients_BQK: Tensor


def confident_candidates(outputs: HeadOutputs, threshold: float) -> Candidates:
    """Candidates from raw head outputs, computing probabilities only where they can matter.

    A foreground probability above t needs a logit above the background's by ln(t / (1 - t)).
    """
    logits_BPC = outputs.class_logits_BPC
    margin_BP = logits_BPC[..., 1:].amax(dim=-1).float() - logits_BPC[..., 0].float()
    needed = math.log(threshold / (1 - threshold)) if 0 < threshold < 1 else -math.inf
    image_M, prior_M = (margin_BP > needed - LOGIT_SLACK).nonzero(as_tuple=True)
    probs_MC = logits_BPC[image_M, prior_M].float().softmax(dim=-1)
    sure_M = probs_MC[:, 1:].amax(dim=-1) > threshold
    return _gathered(outputs, image_M[sure_M], prior_M[sure_M], probs_MC[sure_M, 1:])


def candidates_from_probs(probs_BPC: Tensor, outputs: HeadOutputs, threshold: float) -> Candidates:
    """Candidates where the class probabilities are given; the outputs' logits are not read."""
    confident_BP = probs_BPC[..., 1:].amax(dim=-1) > threshold
    image_M, prior_M = confident_BP.nonzero(as_tuple=True)
    return _gathered(outputs, image_M, prior_M, probs_BPC[image_M, prior_M, 1:])


def _gathered(
    outputs: HeadOutputs, image_M: Tensor, prior_M: Tensor, probs_MF: Tensor
) -> Candidates:
    """Rows of the batch put side by side; at least one row an image, so that none is empty."""
    counts_B = torch.bincount(image_M, minlength=len(outputs.loc_BP4))
    first_B = counts_B.cumsum(0) - counts_B
    slot_M = torch.arange(len(image_M), device=image_M.device) - first_B[image_M]
    shape = (len(counts_B), max(1, int(counts_B.max())))

    def padded(rows_MX: Tensor, fill: float) -> Tensor:
        out_BQX = rows_MX.new_full((*shape, rows_MX.shape[-1]), fill)
        out_BQX[image_M, slot_M] = rows_MX
        return out_BQX

    loc_M4 = outputs.loc_BP4[image_M, prior_M].float()
    return Candidates(
        padded(decode(loc_M4, outputs.priors_P4[prior_M].float()), 0.0),
        padded(probs_MF, ABSENT),
        padded(outputs.coefficients_BPK[image_M, prior_M].float(), 0.0),
    )
