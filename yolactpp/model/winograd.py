"""Winograd's convolution in the place of a network's 3×3 ones, where it is the faster."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from yolactpp.ops.winograd import conv3x3, transformed_weight

# Below these the transforms cost more than the multiplications that they save (measured).
LEAST_CHANNELS = 128
LEAST_PIXELS = 256


class WinogradConv2d(nn.Module):
    """A 3×3 convolution of stride 1 and padding 1 in evaluation mode.

    On a CPU in fp32 it takes Winograd's way; in training, elsewhere and for small maps the plain
    one. What training made of the weight counts from the next `eval()` on.

    Args:
        conv: the plain convolution.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.weight_36CK: Tensor
        self.register_buffer("weight_36CK", torch.empty(0), persistent=False)
        self.register_load_state_dict_post_hook(_train_as_before)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if not mode:
            self.weight_36CK = transformed_weight(self.conv.weight.detach())
        return self

    def forward(self, input_BCHW: Tensor) -> Tensor:
        if self._pays(input_BCHW):
            return conv3x3(input_BCHW, self.weight_36CK, self.conv.bias)
        output_BKHW: Tensor = self.conv(input_BCHW)
        return output_BKHW

    def _pays(self, input_BCHW: Tensor) -> bool:
        batch, _, height, width = input_BCHW.shape
        return (
            not self.training
            and input_BCHW.device.type == "cpu"
            and input_BCHW.dtype == torch.float32
            and batch * height * width >= LEAST_PIXELS
            and not torch.is_autocast_enabled("cpu")
            and not torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
        )


def _train_as_before(module: nn.Module, _keys: object) -> None:
    module.train(module.training)


@torch.no_grad()
def use_winograd(network: nn.Module) -> None:
    """Put `WinogradConv2d` in the place of every convolution that it suits.

    Their weights are kept in both forms, which takes five times their memory.
    """
    for part in list(network.modules()):
        for name, child in list(part.named_children()):
            if type(child) is nn.Conv2d and _suits(child) and type(part) is not WinogradConv2d:
                setattr(part, name, WinogradConv2d(child))


def _suits(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size == (3, 3)
        and conv.stride == conv.padding == conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and min(conv.in_channels, conv.out_channels) >= LEAST_CHANNELS
    )
