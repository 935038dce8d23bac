"""The prediction head that all levels of the pyramid share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PredictionHead(nn.Module):
    """One 3x3 convolution, then box offsets, class logits and mask coefficients side by side.

    Args:
        channels: of the pyramid and of the common feature.
        anchors: anchors a cell.
        num_classes: classes with background.
        prototypes: K, coefficients an anchor.
    """

    def __init__(self, channels: int, anchors: int, num_classes: int, prototypes: int) -> None:
        super().__init__()
        self.widths = (4, num_classes, prototypes)
        self.feature = nn.Conv2d(channels, channels, 3, padding=1)
        self.box, self.classes, self.coefficients = (
            nn.Conv2d(channels, anchors * width, 3, padding=1) for width in self.widths
        )

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Box offsets [B, P, 4], class logits [B, P, C], coefficients [B, P, K] in [-1, 1].

        Priors run level by level, finest first, then row, column, anchor.
        """
        features = [F.relu(self.feature(level)) for level in levels]
        boxes, classes, coefficients = (
            torch.cat([_flatten(conv(feature), width) for feature in features], dim=1)
            for conv, width in zip(
                (self.box, self.classes, self.coefficients), self.widths, strict=True
            )
        )
        return boxes, classes, coefficients.tanh()


def _flatten(maps_BCHW: Tensor, width: int) -> Tensor:
    return maps_BCHW.permute(0, 2, 3, 1).reshape(maps_BCHW.shape[0], -1, width)
