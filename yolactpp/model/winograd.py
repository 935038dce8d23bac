"""Winograd's convolution in the place of a network's 3×3 ones, where it is the faster."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yolactpp.ops.winograd import conv3x3, transformed_weight

# Below these the transforms cost more than the multiplications that they save (measured).
LEAST_CHANNELS = 64
LEAST_PIXELS = 256


class WinogradConv2d(nn.Module):
    """A 3×3 convolution of stride 1 and padding 1, in use: no gradient reaches its weight.

    On a CPU in fp32 it takes Winograd's way, otherwise and for small maps the plain one.

    Args:
        conv: the plain convolution.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        weight_36CK = transformed_weight(conv.weight.detach())
        self.register_buffer("weight_36CK", weight_36CK, persistent=False)
        self.weight_36CK: Tensor

    def forward(self, input_BCHW: Tensor) -> Tensor:
        if self._pays(input_BCHW):
            return conv3x3(input_BCHW, self.weight_36CK, self.conv.bias)
        output_BKHW: Tensor = self.conv(input_BCHW)
        return output_BKHW

    def _pays(self, input_BCHW: Tensor) -> bool:
        batch, _, height, width = input_BCHW.shape
        return (
            input_BCHW.device.type == "cpu"
            and input_BCHW.dtype == torch.float32
            and batch * height * width >= LEAST_PIXELS
            and not torch.is_autocast_enabled("cpu")
            and not torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
        )


@torch.no_grad()
def use_winograd(network: nn.Module) -> None:
    """Put `WinogradConv2d` in the place of every convolution that it suits.

    Their weights are kept in both forms, which takes five times their memory.
    """
    for part in list(network.modules()):
        for name, child in list(part.named_children()):
            if type(child) is nn.Conv2d and _suits(child):
                setattr(part, name, WinogradConv2d(child))


def _suits(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size == (3, 3)
        and conv.stride == conv.padding == conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and min(conv.in_channels, conv.out_channels) >= LEAST_CHANNELS
    )
