"""Protonet: the branch that draws the prototypes all instances share."""

from __future__ import annotations

from torch import Tensor, nn


class Protonet(nn.Module):
    """Three 3x3 convolutions, up-sampling, one more 3x3 and a 1x1 to K prototypes; ReLU throughout.

    Args:
        in_channels: of the pyramid's finest level.
        channels: of the convolutions.
        prototypes: K.
        upsampling: factor between the finest level and the prototypes; 1 keeps its size.

    Source: Bolya et al. 2019 (YOLACT), figure 3.
    """

    def __init__(self, in_channels: int, channels: int, prototypes: int, upsampling: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(3):
            layers.append(nn.Conv2d(channels if index else in_channels, channels, 3, padding=1))
            layers.append(nn.ReLU(inplace=True))
        layers.append(
            nn.Upsample(scale_factor=upsampling, mode="bilinear", align_corners=False)
            if upsampling > 1
            else nn.Identity()
        )
        # The original applies ReLU to the up-sampled map too: it changes nothing but the numbering.
        layers.append(nn.Identity())
        layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(channels, prototypes, 1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, finest_BCHW: Tensor) -> Tensor:
        """Prototypes [B, ph, pw, K], non-negative, channels last."""
        return self.layers(finest_BCHW).permute(0, 2, 3, 1).contiguous()
