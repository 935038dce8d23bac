"""Feature pyramid: from the backbone's stages to levels of equal width."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class FeaturePyramid(nn.Module):
    """Top-down pathway, output convolutions with ReLU, and strided extra levels without.

    Index 0 of `lateral` and `output` is the coarsest stage.

    Args:
        in_channels: of the stages taken, finest first.
        channels: of every level.
        extra_levels: levels beyond the coarsest stage, each a stride-2 convolution of the last.

    Source: Lin et al. 2017; YOLACT's variant.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, extra_levels: int) -> None:
        super().__init__()
        coarsest_first = list(reversed(in_channels))
        self.lateral = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in coarsest_first)
        self.output = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in coarsest_first
        )
        self.downsample = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(extra_levels)
        )

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        """Levels, finest first, of the stages, finest first."""
        merged: list[Tensor] = []
        for lateral, stage in zip(self.lateral, reversed(stages), strict=True):
            level = lateral(stage)
            if merged:
                level = level + F.interpolate(
                    merged[-1], size=stage.shape[-2:], mode="bilinear", align_corners=False
                )
            merged.append(level)
        levels = [F.relu(conv(level)) for conv, level in zip(self.output, merged, strict=True)]
        levels.reverse()
        for conv in self.downsample:
            levels.append(conv(levels[-1]))
        return levels
