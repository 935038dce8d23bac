"""The mask-IoU loss: the small net's prediction against the overlap a mask really has.

On a CPU the net is shown only the places that look at a mask's crop, all others giving what a blank
mask gives; see `views`. Shape letters: N instances, n those judged, v those of a view, G
ground-truth masks, C foreground classes, H and W pixels of the prototypes, h and w of a view.
Source: Bolya et al. 2020 (YOLACT++), section 5.1.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from yolactpp.criterion.views import View, sorted_views
from yolactpp.ops.masks import crop_sides


@dataclass
class Masks:
    """Masks to be judged, among those that are trained.

    Args:
        logits_NHW: scores of all that are trained, uncropped.
        boxes_N4: ground-truth box that crops each, corner form, relative.
        label_N: int64, 0-based foreground class.
        mask_N: int64, ground-truth mask of each.
        masks_GHW: bool, ground-truth masks.
        area_G: their areas in pixels.
        index_n: int64, those of the N to be judged.
    """

    logits_NHW: Tensor
    boxes_N4: Tensor
    label_N: Tensor
    mask_N: Tensor
    masks_GHW: Tensor
    area_G: Tensor
    index_n: Tensor


class MaskIouNetwork(Protocol):
    """Soft, cropped masks [N, 1, H, W] to one predicted IoU a class, [N, C].

    The net is convolutions of stride 2 without padding and a maximum over the places they leave.
    Each place sees a square of `smallest_input` pixels.
    """

    smallest_input: int

    def __call__(self, masks_N1HW: Tensor, /, *, before_relu: bool = False) -> Tensor: ...


def mask_iou_losses(
    net: MaskIouNetwork,
    masks: Masks,
    *,
    detach_input: bool,
    before_relu: bool,
    static_shapes: bool = False,
) -> Tensor:
    """Smooth L1 between predicted and true IoU of each mask at its true class, in some order, [N].

    Args:
        net: the mask-IoU net; trained also when N is 0, by gradients of 0.
        masks: what to show it.
        detach_input: keeps the gradient from the masks (`test_detached_mask_iou_input`).
        before_relu: trains the value before the net's last ReLU, where an output below 0 still
            has a gradient (`test_dead_mask_iou_output_is_trained`).
        static_shapes: shows the net whole masks, in their order, so that no shape hangs on a value.
    """
    logits_NHW = masks.logits_NHW.detach() if detach_input else masks.logits_NHW
    height, width = logits_NHW.shape[1:]
    field = net.smallest_input
    chosen_N4 = masks.boxes_N4[masks.index_n]
    order_n, views = sorted_views(chosen_N4, height, width, field, whole=static_shapes)
    counts = [view.masks for view in views]
    blank_1C = net(logits_NHW.new_zeros(1, 1, field, field), before_relu=before_relu)
    index_n = masks.index_n[order_n]
    losses = []
    for view, index_v, logits_vHW in zip(
        views, index_n.split(counts), _parts(logits_NHW, index_n, counts), strict=True
    ):
        soft_vhw = _cropped(view, logits_vHW, masks.boxes_N4[index_v])
        seen_v1hw = soft_vhw[:, None, : view.seen_height, : view.seen_width]
        scores_vC = net(seen_v1hw, before_relu=before_relu)
        if not view.is_whole:
            scores_vC = torch.maximum(scores_vC, blank_1C)
        predicted_v = scores_vC.gather(1, masks.label_N[index_v, None]).squeeze(1)
        target_vhw = masks.masks_GHW[masks.mask_N[index_v], view.rows, view.columns]
        area_v = masks.area_G[masks.mask_N[index_v]]
        true_v = _iou(soft_vhw.detach(), target_vhw, area_v)
        losses.append(smooth_l1_loss(predicted_v, true_v, reduction="none"))
    return torch.cat(losses)


def _parts(values_NHW: Tensor, index_N: Tensor, counts: list[int]) -> Iterable[Tensor]:
    """The rows of each view; with a gradient all at once, whose way back is then one pass."""
    if values_NHW.requires_grad:
        return values_NHW.index_select(0, index_N).split(counts)
    return (values_NHW.index_select(0, part_N) for part_N in index_N.split(counts))


def _cropped(view: View, logits_NHW: Tensor, boxes_N4: Tensor) -> Tensor:
    """Soft masks inside a view, 0 outside their boxes."""
    rows_NH, columns_NW = crop_sides(boxes_N4, *logits_NHW.shape[1:])
    inside_Nhw = rows_NH[:, view.rows, None] & columns_NW[:, None, view.columns]
    return logits_NHW[:, view.rows, view.columns].sigmoid() * inside_Nhw


def _iou(masks_NHW: Tensor, target_NHW: Tensor, target_area_N: Tensor) -> Tensor:
    # As floats: sums of booleans are several times slower.
    predicted_NX = (masks_NHW > 0.5).flatten(1).float()
    shared_N = torch.linalg.vecdot(predicted_NX, target_NHW.flatten(1).float())
    union_N = predicted_NX.sum(1) + target_area_N - shared_N
    return shared_N / union_N.clamp(min=1)
