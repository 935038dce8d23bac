"""Which prior answers for which object: a batch at once.

Shape letters: B images, M ground-truth boxes (padded), P priors.
Source: YOLACT's code; SSD (Liu et al. 2016), section 2.2. Where an image holds only crowd regions
or nothing, the original raises an error; here all its priors are background, or neutral in a crowd
(`test_images_without_objects_are_background`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from yolactpp.ops.boxes import box_iou, corner_form, crowd_iou
from yolactpp.structures import Targets

BACKGROUND = 0
NEUTRAL = -1
_FORCED = 2.0
_NO_OBJECT = -1.0
_TAKEN = -2.0
# Overlaps worked out at once on a CPU: few enough that what lies between stays in its cache.
_BLOCK = 1 << 19


@dataclass
class Matches:
    """Targets of every prior.

    Args:
        class_target_BP: int64; label + 1 of a positive, 0 background, -1 neutral.
        object_BP: int64; row of the best-fitting ground-truth box within its image, any row where
            the image holds no object.
    """

    class_target_BP: Tensor
    object_BP: Tensor

    @property
    def is_positive_BP(self) -> Tensor:
        return self.class_target_BP > 0


@torch.no_grad()
def match(
    priors_P4: Tensor,
    targets: Targets,
    *,
    positive_iou: float = 0.5,
    negative_iou: float = 0.4,
    crowd_overlap: float = 0.7,
    static_shapes: bool = False,
) -> Matches:
    """Match priors with objects by overlap, each object being given one prior of its own.

    A prior is positive from `positive_iou` on, background below `negative_iou`, else neutral.
    Background that lies in a crowd region by more than `crowd_overlap` is neutral too. Each object
    is first given the prior that fits it best, in the order of falling overlap over the image.

    Args:
        priors_P4: centre form, relative.
        targets: ground truth of the batch.
        static_shapes: keeps tensor shapes independent of values, so that nothing waits for a GPU.
    """
    priors_xyxy = corner_form(priors_P4)
    iou_BMP = _overlaps(targets.boxes_BM4, priors_xyxy)
    iou_BMP.masked_fill_(~targets.is_object_BM[:, :, None], _NO_OBJECT)
    best_BP, object_BP = iou_BMP.max(dim=1)
    _force_best_priors(iou_BMP, best_BP, object_BP, static_shapes)

    class_target_BP = targets.labels_BM.gather(1, object_BP) + 1
    class_target_BP.masked_fill_(best_BP < positive_iou, NEUTRAL)
    class_target_BP.masked_fill_(best_BP < negative_iou, BACKGROUND)
    in_crowd_BP = _in_crowd(priors_xyxy, targets, crowd_overlap)
    class_target_BP.masked_fill_(in_crowd_BP & (class_target_BP <= 0), NEUTRAL)
    return Matches(class_target_BP, object_BP)


def _overlaps(boxes_BM4: Tensor, priors_xyxy_P4: Tensor) -> Tensor:
    """Intersection over union [B, M, P], in blocks of priors on a CPU."""
    if boxes_BM4.is_cuda:
        return box_iou(boxes_BM4, priors_xyxy_P4)
    block = max(1, _BLOCK // boxes_BM4[..., 0].numel())
    iou_BMP = boxes_BM4.new_empty(*boxes_BM4.shape[:2], len(priors_xyxy_P4))
    for part_BMp, priors_p4 in zip(
        iou_BMP.split(block, dim=2), priors_xyxy_P4.split(block), strict=True
    ):
        part_BMp.copy_(box_iou(boxes_BM4, priors_p4))
    return iou_BMP


def _force_best_priors(
    iou_BMP: Tensor, best_BP: Tensor, object_BP: Tensor, static_shapes: bool
) -> None:
    """Greedy one-to-one rounds, all images in step; writes all but the last argument.

    A row's best prior is looked up again only where another object took it, so that a round costs
    next to nothing on a CPU; a GPU looks all of them up, as asking which would make it wait.
    """
    images_B = torch.arange(len(iou_BMP), device=iou_BMP.device)
    fit_BM, prior_BM = iou_BMP.max(dim=2)
    for _ in range(iou_BMP.shape[1]):
        fit_B, row_B = fit_BM.max(dim=1)
        prior_B = prior_BM[images_B, row_B]
        found_B = fit_B >= 0
        best_BP[images_B, prior_B] = torch.where(found_B, _FORCED, best_BP[images_B, prior_B])
        object_BP[images_B, prior_B] = torch.where(found_B, row_B, object_BP[images_B, prior_B])
        fit_BM[images_B, row_B] = _TAKEN
        iou_BMP[images_B, :, prior_B] = _NO_OBJECT
        if static_shapes:
            again_BM, prior_BM = iou_BMP.max(dim=2)
            fit_BM = torch.where(fit_BM > _TAKEN, again_BM, _TAKEN)
            continue
        robbed_BM = (prior_BM == prior_B[:, None]) & (fit_BM >= 0) & found_B[:, None]
        if robbed_BM.any():
            fit_BM[robbed_BM], prior_BM[robbed_BM] = iou_BMP[robbed_BM].max(dim=1)


def _in_crowd(priors_xyxy_P4: Tensor, targets: Targets, overlap: float) -> Tensor:
    """True [B, P] where a crowd region covers more than `overlap` of a prior."""
    is_crowd_BM = targets.is_crowd_BM
    if not priors_xyxy_P4.is_cuda and not is_crowd_BM.any():
        return torch.zeros((), dtype=torch.bool)
    share_BPM = crowd_iou(priors_xyxy_P4, targets.boxes_BM4)
    return ((share_BPM > overlap) & is_crowd_BM[:, None, :]).any(dim=2)
