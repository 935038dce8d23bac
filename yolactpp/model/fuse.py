"""Batch norm folded into the convolutions before it, for a network that is only used.

In evaluation mode batch norm multiplies and shifts each channel by constants; a convolution can do
that with other weights. What is saved is a pass over every map of the backbone.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from yolactpp.model.blocks import BasicBlock, Bottleneck
from yolactpp.model.deformable import DeformConv2d
from yolactpp.model.network import YolactppNetwork

# Convolution and batch norm of the stem and of the blocks, by their names there.
_PAIRS = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))


@torch.no_grad()
def fused(network: YolactppNetwork) -> YolactppNetwork:
    """A copy of a network in evaluation mode, without batch norm; outputs equal up to rounding.

    Of one that is fused already it is a plain copy.

    Raises:
        ValueError: the network is in training mode, where batch norm is no constant.
    """
    if network.training:
        raise ValueError("the network is in training mode: call its eval() before fusing")
    network = copy.deepcopy(network)
    _fuse_pairs(network.backbone)
    for module in network.backbone.modules():
        if isinstance(module, BasicBlock | Bottleneck):
            _fuse_pairs(module)
            if isinstance(module.downsample, nn.Sequential):
                setattr(module, "downsample", _folded(*module.downsample))  # noqa: B010
    return network


def _fuse_pairs(part: nn.Module) -> None:
    for conv, norm in _PAIRS:
        if hasattr(part, norm) and not isinstance(getattr(part, norm), nn.Identity):
            setattr(part, conv, _folded(getattr(part, conv), getattr(part, norm)))
            setattr(part, norm, nn.Identity())


def _folded(conv: nn.Module, norm: nn.Module) -> nn.Module:
    """The convolution, its weight and bias changed to do what the batch norm did."""
    if not isinstance(conv, nn.Conv2d | DeformConv2d) or not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(f"{type(conv).__name__} and {type(norm).__name__} cannot be folded")
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    bias: Tensor | None = conv.bias
    weight, shift = fuse_conv_bn_weights(
        conv.weight, bias, mean, variance, norm.eps, norm.weight, norm.bias
    )
    conv.weight, conv.bias = weight, shift
    return conv
