"""YOLACT++'s training losses of a batch: class, box, mask, semantic and mask IoU.

The box, class and mask losses are handed in. Everything is computed for all images at once; there
is no loop over images or instances. Shape letters: B images, P priors, K places for positives an
image, N positives of the batch, C classes, G ground-truth masks, H and W pixels of the prototypes.
Source: YOLACT (Bolya et al. 2019), section 3; YOLACT++ (2020), section 5.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from yolactpp.criterion.mask_iou import MaskIouNetwork, Masks, mask_iou_losses
from yolactpp.criterion.matching import Matches, match
from yolactpp.criterion.normalisers import Normalisers, ReduceSum, identity
from yolactpp.criterion.positives import (
    Positives,
    draw_permutations,
    draw_positives,
    draw_shared,
)
from yolactpp.criterion.semantic import semantic_loss
from yolactpp.ops.boxes import encode
from yolactpp.ops.masks import assemble_masks, downsample_masks
from yolactpp.structures import HeadOutputs, Targets


class TermValue(Protocol):
    """One term of the mask loss: its value for each instance and its weight."""

    name: str
    raw_N: Tensor
    weight: float | Tensor


MaskTerms = Callable[[Tensor, Tensor, Tensor, float], list[TermValue]]
"""(logits_NHW, target_NHW, boxes_N4, progress) -> terms."""


@dataclass
class _Instances:
    """The positives that train masks, one row each; rows where `is_valid_N` is False count 0."""

    logits_NHW: Tensor
    boxes_N4: Tensor
    label_N: Tensor
    mask_N: Tensor
    masks_GHW: Tensor
    area_G: Tensor
    rescaling_N: Tensor
    is_valid_N: Tensor
    is_large_N: Tensor


class Criterion(nn.Module):
    """Weighted losses of a step; `conf/protocol` says what its choices mean.

    Args:
        mask_loss: `losses.MaskLoss`.
        box_loss: `(loc_N4, target_N4, priors_N4) -> [N]`.
        class_loss: `(logits_BPC, target_BP, *, priors_P4, matched_boxes_BP4) -> sum`, a scalar.
        box_weight, class_weight, mask_weight, semantic_weight, mask_iou_weight: of the losses.
        positive_iou, negative_iou, crowd_overlap: see `matching.match`.
        masks_to_train: positives of an image that train masks at most; more are drawn from.
        smallest_mask_iou_area: masks of at most this many prototype pixels do not train mask IoU.
        detach_mask_iou_input, mask_iou_before_relu, mask_iou_normalised_by_samples: the
            protocol's keys, as are the next four.
        normalise_globally, semantic_ignores_crowds, draw_masks_by_permutation: see there.
        rescale_first_of_pair: see there.
        reduce_sum: sums a tensor over all ranks.
        static_shapes: no tensor's shape hangs on a value, so that a GPU is never waited for; None
            means on CUDA only.

    Raises:
        ValueError: where `masks_to_train` is below 1 or the IoU thresholds are out of order.
    """

    def __init__(
        self,
        *,
        mask_loss: MaskTerms,
        box_loss: Callable[[Tensor, Tensor, Tensor], Tensor],
        class_loss: Callable[..., Tensor],
        box_weight: float = 1.5,
        class_weight: float = 1.0,
        mask_weight: float = 6.125,
        semantic_weight: float = 1.0,
        mask_iou_weight: float = 25.0,
        positive_iou: float = 0.5,
        negative_iou: float = 0.4,
        crowd_overlap: float = 0.7,
        masks_to_train: int = 100,
        smallest_mask_iou_area: float = 25.0,
        detach_mask_iou_input: bool = True,
        mask_iou_before_relu: bool = True,
        mask_iou_normalised_by_samples: bool = True,
        normalise_globally: bool = True,
        semantic_ignores_crowds: bool = True,
        draw_masks_by_permutation: bool = False,
        rescale_first_of_pair: bool = True,
        reduce_sum: ReduceSum = identity,
        static_shapes: bool | None = None,
    ) -> None:
        super().__init__()
        if masks_to_train < 1:
            raise ValueError(f"masks_to_train={masks_to_train}: give at least 1")
        if not 0 <= negative_iou <= positive_iou <= 1:
            raise ValueError(
                f"negative_iou={negative_iou} and positive_iou={positive_iou}: "
                "give 0 <= negative_iou <= positive_iou <= 1"
            )
        self.mask_loss = mask_loss
        self.box_loss = box_loss
        self.class_loss = class_loss
        self.box_weight = box_weight
        self.class_weight = class_weight
        self.mask_weight = mask_weight
        self.semantic_weight = semantic_weight
        self.mask_iou_weight = mask_iou_weight
        self.positive_iou = positive_iou
        self.negative_iou = negative_iou
        self.crowd_overlap = crowd_overlap
        self.masks_to_train = masks_to_train
        self.smallest_mask_iou_area = smallest_mask_iou_area
        self.detach_mask_iou_input = detach_mask_iou_input
        self.mask_iou_before_relu = mask_iou_before_relu
        self.mask_iou_normalised_by_samples = mask_iou_normalised_by_samples
        self.semantic_ignores_crowds = semantic_ignores_crowds
        self.draw = draw_permutations if draw_masks_by_permutation else draw_shared
        self.rescale_first_of_pair = rescale_first_of_pair
        self.reduce_sum = reduce_sum if normalise_globally else identity
        self.static_shapes = static_shapes

    def forward(
        self,
        outputs: HeadOutputs,
        targets: Targets,
        mask_iou_net: MaskIouNetwork | None,
        progress: float = 0.0,
    ) -> dict[str, Tensor]:
        """The step's losses; in float32 at least, with autocast off.

        Args:
            outputs: of the network in training mode.
            targets: ground truth on the same device.
            mask_iou_net: None leaves its loss out.
            progress: fraction of training done, for scheduled weights.

        Returns:
            Scalars: `class`, `box`, `mask` and, where the network has them, `semantic` and
            `mask_iou`, to be summed; `mask/TERM` and `mask/TERM_weighted` to be logged. Finite
            zeros where the batch holds no positive.
        """
        with torch.autocast(outputs.loc_BP4.device.type, enabled=False):
            return self._losses(_at_least_float32(outputs), targets, mask_iou_net, progress)

    def _losses(
        self,
        outputs: HeadOutputs,
        targets: Targets,
        mask_iou_net: MaskIouNetwork | None,
        progress: float,
    ) -> dict[str, Tensor]:
        static = self.static_shapes
        if static is None:
            static = outputs.loc_BP4.is_cuda
        matches = match(
            outputs.priors_P4,
            targets,
            positive_iou=self.positive_iou,
            negative_iou=self.negative_iou,
            crowd_overlap=self.crowd_overlap,
            static_shapes=static,
        )
        positives = draw_positives(matches.is_positive_BP, self.masks_to_train, self.draw, static)
        instances = self._instances(outputs, targets, matches, positives, static)
        divide_by = Normalisers.of_counts(
            positives.all_B.sum(),
            instances.is_large_N.sum(),
            len(outputs.loc_BP4),
            self.reduce_sum,
        )
        losses = self._prior_losses(outputs, targets, matches, divide_by, static)
        losses |= self._mask_losses(instances, divide_by, progress)
        if outputs.semantic_logits_BCHW is not None:
            total = semantic_loss(
                outputs.semantic_logits_BCHW, targets, self.semantic_ignores_crowds
            )
            losses["semantic"] = self.semantic_weight * total / divide_by.images
        if mask_iou_net is not None:
            losses["mask_iou"] = self._mask_iou_loss(mask_iou_net, instances, divide_by, static)
        return losses

    def _prior_losses(
        self,
        outputs: HeadOutputs,
        targets: Targets,
        matches: Matches,
        divide_by: Normalisers,
        static: bool,
    ) -> dict[str, Tensor]:
        """Class and box losses."""
        matched_BP4 = _rows(targets.boxes_BM4, matches.object_BP)
        class_sum = self.class_loss(
            outputs.class_logits_BPC,
            matches.class_target_BP,
            priors_P4=outputs.priors_P4,
            matched_boxes_BP4=matched_BP4,
        )
        is_positive_N = matches.is_positive_BP.flatten()
        priors_N4 = outputs.priors_P4.repeat(len(outputs.loc_BP4), 1)
        loc_N4, matched_N4 = outputs.loc_BP4.flatten(0, 1), matched_BP4.flatten(0, 1)
        if static:
            # Priors without an object are compared with themselves: encoding padding is infinite.
            keep_N1 = is_positive_N[:, None]
            target_N4 = encode(matched_N4, priors_N4).where(keep_N1, 0)
            each_N = self.box_loss(loc_N4.where(keep_N1, 0), target_N4, priors_N4)
            box_sum = each_N.where(is_positive_N, 0).sum()
        else:
            loc_N4, matched_N4, priors_N4 = (
                _keep(each, is_positive_N, static) for each in (loc_N4, matched_N4, priors_N4)
            )
            box_sum = self.box_loss(loc_N4, encode(matched_N4, priors_N4), priors_N4).sum()
        return {
            "class": self.class_weight * class_sum / divide_by.positives,
            "box": self.box_weight * box_sum / divide_by.positives,
        }

    def _instances(
        self,
        outputs: HeadOutputs,
        targets: Targets,
        matches: Matches,
        positives: Positives,
        static: bool,
    ) -> _Instances:
        """Gather the positives that train masks, and what they should be."""
        prior_BK = positives.prior_BK
        prototypes = outputs.prototypes_BHWK
        height, width = prototypes.shape[1:3]
        logits_BKHW = assemble_masks(prototypes, _rows(outputs.coefficients_BPK, prior_BK))
        row_BK = matches.object_BP.gather(1, prior_BK)
        masks_GHW = downsample_masks(targets.masks_GHW, height, width)
        # A last, empty mask stands for the object of a place without one.
        masks_GHW = torch.cat([masks_GHW, masks_GHW.new_zeros(1, height, width)])
        mask_BK = targets.mask_offsets_B[:, None] + row_BK
        mask_BK = mask_BK.where(positives.is_valid_BK, len(masks_GHW) - 1)
        label_BK = targets.labels_BM.gather(1, row_BK).clamp(min=0)
        area_G = masks_GHW.flatten(1).float().sum(1)

        def rows(value_BK: Tensor) -> Tensor:
            return _keep(value_BK.flatten(0, 1), positives.is_valid_BK.flatten(), static)

        # The whole image: a loss over an empty box may have no finite gradient.
        whole = targets.boxes_BM4.new_tensor([0.0, 0.0, 1.0, 1.0])
        boxes_BK4 = _rows(targets.boxes_BM4, row_BK)
        boxes_BK4 = boxes_BK4.where(positives.is_valid_BK[..., None], whole)
        mask_N = rows(mask_BK)
        return _Instances(
            logits_NHW=rows(logits_BKHW),
            boxes_N4=rows(boxes_BK4),
            label_N=rows(label_BK),
            mask_N=mask_N,
            masks_GHW=masks_GHW,
            area_G=area_G,
            rescaling_N=rows(positives.rescaling_B[:, None].expand_as(row_BK)),
            is_valid_N=rows(positives.is_valid_BK),
            is_large_N=area_G[mask_N] > self.smallest_mask_iou_area,
        )

    def _mask_losses(
        self, instances: _Instances, divide_by: Normalisers, progress: float
    ) -> dict[str, Tensor]:
        """Each term and their sum. A term counts for the positives that were not drawn too."""
        target_NHW = instances.masks_GHW[instances.mask_N].to(instances.logits_NHW.dtype)
        terms = self.mask_loss(instances.logits_NHW, target_NHW, instances.boxes_N4, progress)
        losses: dict[str, Tensor] = {"mask": divide_by.positives.new_zeros(())}
        for index, term in enumerate(terms):
            value_N = term.raw_N.where(instances.is_valid_N, 0)
            if self.rescale_first_of_pair or index > 0 or len(terms) == 1:
                value_N = value_N * instances.rescaling_N
            raw = self.mask_weight * value_N.sum() / divide_by.positives
            weighted = term.weight * raw
            losses["mask"] = losses["mask"] + weighted
            losses[f"mask/{term.name}"] = raw.detach()
            losses[f"mask/{term.name}_weighted"] = weighted.detach()
        return losses

    def _mask_iou_loss(
        self,
        net: MaskIouNetwork,
        instances: _Instances,
        divide_by: Normalisers,
        static: bool,
    ) -> Tensor:
        large_N = instances.is_large_N
        masks = Masks(
            instances.logits_NHW,
            instances.boxes_N4,
            instances.label_N,
            instances.mask_N,
            instances.masks_GHW,
            instances.area_G,
            _keep(torch.arange(len(large_N), device=large_N.device), large_N, static),
        )
        loss_N = mask_iou_losses(
            net,
            masks,
            detach_input=self.detach_mask_iou_input,
            before_relu=self.mask_iou_before_relu,
            static_shapes=static,
        )
        # Without static shapes all that were shown are large.
        total = (loss_N.where(large_N, 0) if static else loss_N).sum()
        by_samples = self.mask_iou_normalised_by_samples
        count = divide_by.mask_iou_samples if by_samples else divide_by.positives
        return self.mask_iou_weight * total / count


def _rows(values_BMX: Tensor, row_BK: Tensor) -> Tensor:
    """Row `row_BK[b, k]` of image b, [B, K, X]."""
    return values_BMX.gather(1, row_BK[..., None].expand(-1, -1, values_BMX.shape[-1]))


def _keep(values_N: Tensor, keep_N: Tensor, static: bool) -> Tensor:
    """The rows where `keep_N` holds, or all of them where shapes must not hang on values."""
    if static or bool(keep_N.all()):
        return values_N
    return values_N.index_select(0, keep_N.nonzero().flatten())


def _at_least_float32(outputs: HeadOutputs) -> HeadOutputs:
    values = {name: value for name, value in vars(outputs).items() if value is not None}
    return replace(
        outputs,
        **{
            name: value.to(torch.promote_types(value.dtype, torch.float32))
            for name, value in values.items()
        },
    )
