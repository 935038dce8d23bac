"""The mask-IoU loss: the small net's prediction against the overlap a mask really has.

Shape letters: N instances, C foreground classes, H and W pixels of the prototypes.
Source: Bolya et al. 2020 (YOLACT++), section 5.1.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from yolactpp.ops.masks import crop_mask_NHW

# Pixels of the masks that go through the net at once: on a CPU what lies between its layers stays
# in cache (2.2 times faster at 384 masks of 138 px), on a GPU a bound on memory.
_CPU_BLOCK = 1 << 19
_GPU_BLOCK = 1 << 26


class MaskIouNetwork(Protocol):
    """Soft, cropped masks [N, 1, H, W] to one predicted IoU a class, [N, C]."""

    def __call__(self, masks_N1HW: Tensor, /, *, before_relu: bool = False) -> Tensor: ...


def mask_iou_losses(
    net: MaskIouNetwork,
    logits_NHW: Tensor,
    target_NHW: Tensor,
    boxes_N4: Tensor,
    label_N: Tensor,
    *,
    detach_input: bool,
    before_relu: bool,
) -> Tensor:
    """Smooth L1 between predicted and true IoU of each mask at its true class, [N].

    Args:
        net: the mask-IoU net; trained also when N is 0, by gradients of 0.
        logits_NHW: mask scores, uncropped.
        target_NHW: bool, the ground-truth mask of each.
        boxes_N4: ground-truth box that crops each, corner form, relative.
        label_N: int64, 0-based foreground class.
        detach_input: keeps the gradient from the masks (`test_detached_mask_iou_input`).
        before_relu: trains the value before the net's last ReLU, where an output below 0 still
            has a gradient (`test_dead_mask_iou_output_is_trained`).
    """
    source_NHW = logits_NHW.detach() if detach_input else logits_NHW
    height, width = logits_NHW.shape[1:]
    block = max(1, (_GPU_BLOCK if logits_NHW.is_cuda else _CPU_BLOCK) // (height * width))
    parts = []
    for logits_nHW, target_nHW, boxes_n4, label_n in zip(
        *(each.split(block) for each in (source_NHW, target_NHW, boxes_N4, label_N)), strict=True
    ):
        masks_nHW = logits_nHW.sigmoid() * crop_mask_NHW(boxes_n4, height, width)
        scores_nC = net(masks_nHW.unsqueeze(1), before_relu=before_relu)
        predicted_n = scores_nC.gather(1, label_n[:, None]).squeeze(1)
        true_n = _iou(masks_nHW.detach() > 0.5, target_nHW)
        parts.append(smooth_l1_loss(predicted_n, true_n, reduction="none"))
    return torch.cat(parts)


def _iou(predicted_NHW: Tensor, target_NHW: Tensor) -> Tensor:
    # As floats: sums of booleans are several times slower.
    predicted_NX, target_NX = predicted_NHW.flatten(1).float(), target_NHW.flatten(1).float()
    shared_N = torch.linalg.vecdot(predicted_NX, target_NX)
    union_N = predicted_NX.sum(1) + target_NX.sum(1) - shared_N
    return shared_N / union_N.clamp(min=1)
