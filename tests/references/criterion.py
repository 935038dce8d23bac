"""The criterion written straightforwardly: one image after the other, one object after the other.

An oracle for the batched criterion under `protocol=yolact`, and what its speed is measured against.
Takes and returns what `Criterion` does, for BCE masks, smooth L1 and OHEM.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    interpolate,
    smooth_l1_loss,
)

from yolactpp.structures import CROWD, HeadOutputs, Targets

MASKS_TO_TRAIN = 100
SMALLEST_AREA = 25


def criterion_loops(
    outputs: HeadOutputs, targets: Targets, mask_iou_net: nn.Module
) -> dict[str, Tensor]:
    """Losses of a batch, image by image."""
    priors = outputs.priors_P4
    corners = torch.cat([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], 1)
    sums = dict.fromkeys(("box", "class", "mask", "semantic", "mask_iou"), torch.zeros(()))
    positives = 0
    for image in range(len(outputs.loc_BP4)):
        boxes, labels, masks = _ground_truth(targets, image)
        classes, best = _match(boxes, labels, priors, corners)
        crowds = targets.boxes_BM4[image][targets.labels_BM[image] == CROWD]
        classes[_in_crowd(crowds, priors, corners) & (classes <= 0)] = -1
        positive = classes > 0
        positives += int(positive.sum())
        sums["class"] = sums["class"] + _class_loss(outputs.class_logits_BPC[image], classes)
        loc_target = _encode(boxes[best], priors)[positive]
        sums["box"] = sums["box"] + smooth_l1_loss(
            outputs.loc_BP4[image][positive], loc_target, reduction="sum"
        )
        masks = masks.float()
        sums["semantic"] = sums["semantic"] + _semantic_loss(
            outputs.semantic_logits_BCHW[image], masks, labels
        )
        mask, mask_iou = _mask_losses(
            outputs.prototypes_BHWK[image],
            outputs.coefficients_BPK[image][positive],
            boxes,
            labels,
            masks,
            best[positive],
            mask_iou_net,
        )
        sums["mask"] = sums["mask"] + mask
        sums["mask_iou"] = sums["mask_iou"] + mask_iou
    weights = {"box": 1.5, "class": 1.0, "mask": 6.125, "mask_iou": 25.0}
    losses = {key: weight * sums[key] / positives for key, weight in weights.items()}
    losses["semantic"] = sums["semantic"] / len(outputs.loc_BP4)
    return losses


def _ground_truth(targets: Targets, image: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, labels and masks of an image's objects; crowds are left out."""
    keep = targets.labels_BM[image] >= 0
    start, count = int(targets.mask_offsets_B[image]), int(keep.sum())
    masks = targets.masks_GHW[start : start + count]
    return targets.boxes_BM4[image][keep], targets.labels_BM[image][keep], masks


def _match(boxes: Tensor, labels: Tensor, priors: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    shared = _shared_area(boxes, corners)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    iou = shared / (areas[:, None] + priors[:, 2:].prod(1) - shared)
    fit, best = iou.max(0)
    for _ in range(len(boxes)):
        row_fit, row_prior = iou.max(1)
        row = int(row_fit.argmax())
        prior = int(row_prior[row])
        iou[row, :] = -1
        iou[:, prior] = -1
        fit[prior], best[prior] = 2, row
    classes = labels[best] + 1
    classes[fit < 0.5] = -1
    classes[fit < 0.4] = 0
    return classes, best


def _shared_area(boxes: Tensor, corners: Tensor) -> Tensor:
    low = torch.max(boxes[:, None, :2], corners[None, :, :2])
    high = torch.min(boxes[:, None, 2:], corners[None, :, 2:])
    return (high - low).clamp(min=0).prod(2)


def _in_crowd(crowds: Tensor, priors: Tensor, corners: Tensor) -> Tensor:
    inside = torch.zeros(len(priors), dtype=torch.bool, device=priors.device)
    for crowd in crowds:
        share = _shared_area(crowd[None], corners)[0] / priors[:, 2:].prod(1)
        inside |= share > 0.7
    return inside


def _encode(boxes: Tensor, priors: Tensor) -> Tensor:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 - priors[:, :2]
    size = boxes[:, 2:] - boxes[:, :2]
    return torch.cat([centre / (0.1 * priors[:, 2:]), torch.log(size / priors[:, 2:]) / 0.2], dim=1)


def _class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    hardness = (logits.logsumexp(1) - logits[:, 0]).detach()
    hardness[classes != 0] = 0
    count = min(3 * int((classes > 0).sum()), len(classes) - 1)
    chosen = classes > 0
    chosen[hardness.argsort(descending=True)[:count]] = True
    chosen &= classes >= 0
    return cross_entropy(logits[chosen], classes[chosen], reduction="sum")


def _semantic_loss(logits: Tensor, masks: Tensor, labels: Tensor) -> Tensor:
    small = interpolate(masks[None], logits.shape[1:], mode="bilinear")[0] > 0.5
    target = torch.zeros_like(logits)
    for mask, label in zip(small, labels.tolist(), strict=True):
        target[label] = torch.max(target[label], mask.float())
    loss = binary_cross_entropy_with_logits(logits, target, reduction="sum")
    return loss / (logits.shape[1] * logits.shape[2])


def _mask_losses(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    labels: Tensor,
    masks: Tensor,
    best: Tensor,
    mask_iou_net: nn.Module,
) -> tuple[Tensor, Tensor]:
    height, width = prototypes.shape[:2]
    small = (interpolate(masks[None], (height, width), mode="bilinear")[0] > 0.5).float()
    found = len(best)
    if found > MASKS_TO_TRAIN:
        chosen = torch.randperm(found)[:MASKS_TO_TRAIN]
        coefficients, best = coefficients[chosen], best[chosen]
    soft = torch.sigmoid(prototypes @ coefficients.t()).permute(2, 0, 1)
    cropped = torch.stack(
        [mask * _box_mask(boxes[j], height, width) for mask, j in zip(soft, best, strict=True)]
    )
    target = small[best]
    loss = binary_cross_entropy(cropped.clamp(0, 1), target, reduction="none").sum((1, 2))
    sides = boxes[best][:, 2:] - boxes[best][:, :2]
    loss = loss / (sides[:, 0] * width) / (sides[:, 1] * height) * (found / len(best))
    return loss.sum(), _mask_iou_loss(cropped, target, labels[best], mask_iou_net)


def _box_mask(box: Tensor, height: int, width: int) -> Tensor:
    column = torch.arange(width, device=box.device)
    row = torch.arange(height, device=box.device)
    x = (column >= box[0] * width - 1) & (column < box[2] * width + 1)
    y = (row >= box[1] * height - 1) & (row < box[3] * height + 1)
    return y[:, None] & x


def _mask_iou_loss(masks: Tensor, target: Tensor, label: Tensor, net: nn.Module) -> Tensor:
    large = target.sum((1, 2)) > SMALLEST_AREA
    if not large.any():
        return torch.zeros(())
    masks, target, label = masks[large], target[large], label[large]
    hard = (masks > 0.5).float()
    shared = (hard * target).sum((1, 2))
    union = hard.sum((1, 2)) + target.sum((1, 2)) - shared
    predicted = net(masks[:, None])[torch.arange(len(label)), label]
    return smooth_l1_loss(predicted, (shared / union).detach(), reduction="sum")
