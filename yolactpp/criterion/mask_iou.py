"""The mask-IoU loss: the small net's prediction against the overlap a mask really has.

Shape letters: N instances, C foreground classes, H and W pixels of the prototypes.
Source: Bolya et al. 2020 (YOLACT++), section 5.1.
"""

from typing import Protocol

from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from yolactpp.ops.masks import crop_mask_NHW


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
    masks_NHW = source_NHW.sigmoid() * crop_mask_NHW(boxes_N4, *logits_NHW.shape[1:])
    scores_NC = net(masks_NHW.unsqueeze(1), before_relu=before_relu)
    predicted_N = scores_NC.gather(1, label_N[:, None]).squeeze(1)
    return smooth_l1_loss(predicted_N, _iou(masks_NHW.detach() > 0.5, target_NHW), reduction="none")


def _iou(predicted_NHW: Tensor, target_NHW: Tensor) -> Tensor:
    shared_N = (predicted_NHW & target_NHW).sum((1, 2))
    union_N = (predicted_NHW | target_NHW).sum((1, 2))
    return shared_N / union_N.clamp(min=1)
