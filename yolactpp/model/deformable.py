"""The modulated deformable 3x3 convolution (DCNv2) as the backbone uses it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from yolactpp.ops.deform_conv import Backend, deform_conv2d

TAPS = 9


class DeformConv2d(nn.Module):
    """A 3x3 convolution whose taps move and fade, as an ordinary convolution tells them to.

    Of the 27 channels of `conv_offset_mask`, 0..17 are offsets (dy, dx of each tap) and 18..26 are
    logits of the modulation mask. That convolution starts at zero, so the layer starts as half
    the plain convolution.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: step of the output grid in input pixels; padding and dilation are 1.
        backend: how `deform_conv2d` computes; an attribute, so it can be changed later.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, backend: Backend = "auto"
    ) -> None:
        super().__init__()
        self.stride = stride
        self.backend: Backend = backend
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conv_offset_mask = nn.Conv2d(in_channels, 3 * TAPS, 3, stride=stride, padding=1)
        bound = 1 / math.sqrt(TAPS * in_channels)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)  # type: ignore[arg-type]

    def forward(self, features_BCHW: Tensor) -> Tensor:
        offset_mask = self.conv_offset_mask(features_BCHW)
        offset, mask_logits = offset_mask.split([2 * TAPS, TAPS], dim=1)
        return deform_conv2d(
            features_BCHW,
            offset,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=1,
            mask=mask_logits.sigmoid(),
            backend=self.backend,
        )
