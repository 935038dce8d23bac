"""The golden losses' cases as our structures, and the losses that their settings name."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import losses
from tests.golden import load_npz, rule_p
from yolactpp.criterion.criterion import Criterion
from yolactpp.model.mask_iou import MaskIouNet
from yolactpp.protocols import load_protocol
from yolactpp.structures import HeadOutputs, Targets

NAMES = {"B": "box", "C": "class", "M": "mask", "S": "semantic", "I": "mask_iou"}
MASK_IOU_CHANNELS = (8, 16, 32, 64, 128)


@dataclass
class Case:
    """A golden case: what the network gave, with gradients, and what was wanted."""

    inputs: dict[str, Tensor]
    outputs: HeadOutputs
    targets: Targets
    net: MaskIouNet
    arrays: dict[str, Any]

    def gradient(self, key: str) -> Tensor:
        """Of an input, or of the mask-IoU net's parameter by its original name."""
        if key in self.inputs:
            leaf = self.inputs[key]
        else:
            leaf = self.net.get_parameter(key.replace("maskiou_net.maskiou_net.", "layers."))
        return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def load_case(name: str) -> Case:
    arrays = load_npz(f"loss_case{name}.npz")
    classes, _, batch = (int(value) for value in arrays["num_classes_size_B"])
    boxes, labels, masks = (
        [torch.from_numpy(arrays[f"{kind}{image}"]) for image in range(batch)]
        for kind in ("boxes", "labels", "masks")
    )
    x = {
        key: torch.from_numpy(arrays[key]).requires_grad_()
        for key in ("loc", "conf", "mask", "proto", "segm")
    }
    priors = torch.from_numpy(arrays["priors"])
    net = MaskIouNet(MASK_IOU_CHANNELS, classes - 1)
    with torch.no_grad():
        for key, value in net.named_parameters():
            original = key.replace("layers.", "maskiou_net.maskiou_net.")
            value.copy_(rule_p(original, tuple(value.shape)))
    outputs = HeadOutputs(x["loc"], x["conf"], x["mask"], x["proto"], priors, x["segm"])
    return Case(x, outputs, Targets.from_images(boxes, labels, masks), net, arrays)


def criterion_of(
    protocol_name: str, overrides: dict[str, Any] | None = None, static_shapes: bool = False
) -> Criterion:
    """The criterion under a protocol, with the original's names for settings."""
    overrides = overrides or {}
    protocol = load_protocol(protocol_name)
    return Criterion(
        mask_loss=mask_loss_of(protocol, overrides),
        box_loss=losses.SmoothL1(),
        class_loss=losses.Ohem(),
        masks_to_train=overrides.get("masks_to_train", 100),
        smallest_mask_iou_area=overrides.get("discard_mask_area", 25),
        detach_mask_iou_input=protocol["detach_mask_iou_input"],
        mask_iou_before_relu=protocol["mask_iou_trains_before_relu"],
        mask_iou_normalised_by_samples=protocol["mask_iou_normalised_by_samples"],
        normalise_globally=protocol["normalise_globally"],
        semantic_ignores_crowds=protocol["semantic_ignores_crowds"],
        draw_masks_by_permutation=protocol["masks_drawn_by_permutation"],
        rescale_first_of_pair=protocol["hybrid_first_rescaled"],
        static_shapes=static_shapes,
    )


def mask_loss_of(protocol: dict[str, Any], overrides: dict[str, Any]) -> losses.MaskLoss:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", losses.HuberIsHalfMse)
        return _mask_loss_of(protocol, overrides)


def _mask_loss_of(protocol: dict[str, Any], overrides: dict[str, Any]) -> losses.MaskLoss:
    crop, smallest = protocol["mask_crop"], protocol["min_box_area"]
    primary = _primary(protocol, overrides)
    if not overrides.get("mask_proto_double_loss"):
        return losses.single(primary, crop=crop, min_box_area=smallest)
    return losses.hybrid(
        first=_secondary(protocol, overrides),
        second=primary,
        alpha=overrides.get("mask_proto_double_loss_alpha", 1),
        first_region=protocol["hybrid_first_region"],
        first_normaliser=protocol["hybrid_first_normaliser"],
        huber_delta_ignored=protocol["hybrid_huber_delta_ignored"],
        crop=crop,
        min_box_area=smallest,
    )


def _primary(protocol: dict[str, Any], overrides: dict[str, Any]) -> losses.LossModule:
    per_pixel, naive = protocol["pixelwise_dice"], protocol["naive_log_cosh"]
    of_probs = protocol["bce_of_probabilities"]
    if overrides.get("use_huber_loss"):
        return losses.Huber(delta=float(overrides.get("huber_loss_delta", 1)))
    if overrides.get("use_log_cosh_bce_loss"):
        return losses.LogCoshBce(naive=naive, of_probs=of_probs)
    if overrides.get("use_dice_loss"):
        return losses.Dice(per_pixel=per_pixel)
    if overrides.get("use_log_cosh_dice_loss"):
        return losses.LogCoshDice(per_pixel=per_pixel, naive=naive)
    return losses.Mse() if overrides.get("use_mse_loss") else losses.Bce(of_probs=of_probs)


def _secondary(protocol: dict[str, Any], overrides: dict[str, Any]) -> losses.LossModule:
    kind = overrides.get("double_loss_type")
    if kind == "huber_loss":
        return losses.Huber(delta=float(overrides.get("huber_loss_delta", 1)))
    if kind == "mse_loss":
        return losses.Mse()
    return losses.Bce(of_probs=protocol["bce_of_probabilities"])


def total(values: dict[str, Tensor]) -> Tensor:
    """What is trained: the losses without a slash in their name."""
    return torch.stack([value for key, value in values.items() if "/" not in key]).sum()
