"""Mask R-CNN's losses of the sampled regions: L = L_cls + L_box + L_mask.

Shape letters: R sampled regions of a batch, N those that are objects.
Source: He et al. 2017 (Mask R-CNN), section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from yolactpp.maskrcnn.rois import Rois
from yolactpp.ops.boxes import center_size


class TermValue(Protocol):
    """One term of the mask loss: its value for each instance and its weight."""

    name: str
    raw_N: Tensor
    weight: float | Tensor


MaskTerms = Callable[[Tensor, Tensor, Tensor, float], list[TermValue]]


class MaskRcnnCriterion(nn.Module):
    """Class and box losses over the sampled regions, the mask loss over the objects among them.

    With `class_loss=cross_entropy`, `box_loss=smooth_l1_ninth` and `loss=bce` they are
    torchvision's own (test: test_parity.py).

    Args:
        mask_loss: `losses.MaskLoss`. The whole region is the box of its terms.
        box_loss: `(offsets_N4, target_N4, regions_N4) -> [N]`; regions in centre form, relative.
        class_loss: `(logits_BPC, target_BP, *, priors_P4, matched_boxes_BP4) -> sum`; called image
            by image, the regions being the priors.
        class_weight, box_weight, mask_weight: of the losses.
        normalise_globally: divide the mask loss by the objects of all ranks, not of each. The other
            losses are divided by drawn samples, of which every image has about the same number.
        reduce_sum: sums a tensor over all ranks; None for one process.
    """

    def __init__(
        self,
        *,
        mask_loss: MaskTerms,
        box_loss: Callable[[Tensor, Tensor, Tensor], Tensor],
        class_loss: Callable[..., Tensor],
        class_weight: float = 1.0,
        box_weight: float = 1.0,
        mask_weight: float = 1.0,
        normalise_globally: bool = True,
        reduce_sum: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.mask_loss = mask_loss
        self.box_loss = box_loss
        self.class_loss = class_loss
        self.class_weight = class_weight
        self.box_weight = box_weight
        self.mask_weight = mask_weight
        self.reduce_sum = reduce_sum if normalise_globally else None

    def forward(self, rois: Rois, progress: float = 0.0) -> dict[str, Tensor]:
        """`class`, `box` and `mask`; `mask/TERM` and `mask/TERM_weighted` to be logged.

        In float32 at least, with autocast off; finite zeros where no region is an object.
        """
        with torch.autocast(rois.class_logits_RC.device.type, enabled=False):
            rois = _at_least_float32(rois)
            return self._region_losses(rois) | self._mask_losses(rois, progress)

    def _region_losses(self, rois: Rois) -> dict[str, Tensor]:
        height, width = rois.size
        scale = rois.boxes_R4.new_tensor([width, height, width, height])
        priors_R4 = center_size(rois.boxes_R4 / scale)
        images = zip(
            rois.class_logits_RC.split(rois.counts),
            rois.class_target_R.split(rois.counts),
            priors_R4.split(rois.counts),
            (rois.matched_boxes_R4 / scale).split(rois.counts),
            strict=True,
        )
        class_sum = torch.stack(
            [
                self.class_loss(
                    logits_PC[None],
                    target_P[None],
                    priors_P4=priors_P4,
                    matched_boxes_BP4=box[None],
                )
                for logits_PC, target_P, priors_P4, box in images
            ]
        ).sum()
        object_N = (rois.class_target_R > 0).nonzero()[:, 0]
        offsets_N4 = rois.box_offsets_RC4[object_N, rois.class_target_R[object_N]]
        box_sum = self.box_loss(offsets_N4, rois.box_target_R4[object_N], priors_R4[object_N]).sum()
        samples = max(1, len(rois.class_target_R))
        return {
            "class": self.class_weight * class_sum / samples,
            "box": self.box_weight * box_sum / samples,
        }

    def _mask_losses(self, rois: Rois, progress: float) -> dict[str, Tensor]:
        logits_NHW = rois.mask_logits_NHW
        whole_N4 = logits_NHW.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(len(logits_NHW), 4)
        objects = self._objects(logits_NHW)
        losses: dict[str, Tensor] = {"mask": logits_NHW.new_zeros(())}
        for term in self.mask_loss(logits_NHW, rois.mask_target_NHW, whole_N4, progress):
            raw = self.mask_weight * term.raw_N.sum() / objects
            weighted = term.weight * raw
            losses["mask"] = losses["mask"] + weighted
            losses[f"mask/{term.name}"] = raw.detach()
            losses[f"mask/{term.name}_weighted"] = weighted.detach()
        return losses

    def _objects(self, logits_NHW: Tensor) -> Tensor:
        """By how many the mask losses are divided: this rank's, or its share of all ranks'."""
        counts = logits_NHW.new_tensor([len(logits_NHW), 1.0])
        if self.reduce_sum is not None:
            counts = self.reduce_sum(counts)
        return counts[0].clamp(min=1) / counts[1]


def _at_least_float32(rois: Rois) -> Rois:
    values: dict[str, Any] = {
        name: value.to(torch.promote_types(value.dtype, torch.float32))
        for name, value in vars(rois).items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    return replace(rois, **values)
