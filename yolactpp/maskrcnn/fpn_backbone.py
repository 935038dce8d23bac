"""A backbone of ours under torchvision's feature pyramid, as its detection models want one."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from yolactpp.model.backbone import ResNet


class FpnBackbone(nn.Module):
    """C2..C5 to P2..P6, P6 by subsampling P5.

    Args:
        body: gives C2..C5 at strides 4 to 32.
        channels: of every level.

    Source: Lin et al. 2017 (feature pyramid networks).
    """

    def __init__(self, body: ResNet, channels: int) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork(body.out_channels, channels, LastLevelMaxPool())
        self.out_channels = channels

    def forward(self, images_B3HW: Tensor) -> OrderedDict[str, Tensor]:
        """Levels by the names that torchvision's region pooling looks for: 0, 1, 2, 3, pool."""
        stages = self.body(images_B3HW)
        levels: OrderedDict[str, Tensor] = self.fpn(
            OrderedDict((str(index), stage) for index, stage in enumerate(stages))
        )
        return levels
