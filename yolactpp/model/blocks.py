"""Residual blocks of the backbone, with the inner 3x3 convolution deformable where asked."""

from __future__ import annotations

from torch import Tensor, nn

from yolactpp.model.deformable import DeformConv2d
from yolactpp.ops.deform_conv import Backend


def conv3x3(
    in_channels: int, out_channels: int, stride: int, *, deformable: bool, backend: Backend
) -> nn.Module:
    """A 3x3 convolution, padding 1: plain without bias, or deformable with one."""
    if deformable:
        return DeformConv2d(in_channels, out_channels, stride=stride, backend=backend)
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; the first carries the stride, the second may be deformable.

    Args:
        in_channels: channels of the input.
        width: channels of both convolutions and of the output.
        stride: of the first convolution and of the shortcut.
        deformable: whether the second convolution is a DCNv2 layer.
        backend: how that layer computes.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        *,
        deformable: bool = False,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, width, stride, deformable=False, backend=backend)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, 1, deformable=deformable, backend=backend)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        changes_shape = stride != 1 or in_channels != width
        self.downsample = _shortcut(in_channels, width, stride) if changes_shape else None

    def forward(self, features_BCHW: Tensor) -> Tensor:
        shortcut = features_BCHW if self.downsample is None else self.downsample(features_BCHW)
        inner = self.relu(self.bn1(self.conv1(features_BCHW)))
        return self.relu(self.bn2(self.conv2(inner)) + shortcut)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 to four times the width; the 3x3 carries the stride and may be deformable.

    Arguments as of `BasicBlock`, but for the output, which has `4 * width` channels.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        *,
        deformable: bool = False,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        out_channels = self.expansion * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride, deformable=deformable, backend=backend)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        changes_shape = stride != 1 or in_channels != out_channels
        self.downsample = _shortcut(in_channels, out_channels, stride) if changes_shape else None

    def forward(self, features_BCHW: Tensor) -> Tensor:
        shortcut = features_BCHW if self.downsample is None else self.downsample(features_BCHW)
        inner = self.relu(self.bn1(self.conv1(features_BCHW)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        return self.relu(self.bn3(self.conv3(inner)) + shortcut)
