"""The mask-IoU net: how well a mask fits its object, judged from the mask alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskIouNet(nn.Module):
    """Strided 3x3 convolutions without padding, a 1x1 to one IoU a class, and a global maximum.

    Args:
        channels: of the strided convolutions; n of them need maps of at least 2^(n + 1) - 1 pixels.
        foreground_classes: outputs.

    Source: Bolya et al. 2020 (YOLACT++), section 5.1.
    """

    def __init__(self, channels: Sequence[int], foreground_classes: int) -> None:
        super().__init__()
        self.smallest_input = 2 ** (len(channels) + 1) - 1
        layers: list[nn.Module] = []
        for in_channels, out_channels in zip((1, *channels), channels, strict=False):
            layers += [nn.Conv2d(in_channels, out_channels, 3, stride=2), nn.ReLU(inplace=True)]
        layers.append(nn.Conv2d(channels[-1], foreground_classes, 1))
        # Few channels: a fifth faster forward and backward on a CPU with channels innermost.
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def forward(self, masks_N1HW: Tensor, *, before_relu: bool = False) -> Tensor:
        """Predicted IoU [N, C - 1] of soft, cropped masks.

        Args:
            masks_N1HW: probabilities at prototype size, 0 outside the box.
            before_relu: leave out the last ReLU. An output at 0 gets no gradient through it, so
                training may look at the value before; prediction never does.
        """
        scores_NC = self.layers(masks_N1HW).amax(dim=(2, 3))
        return scores_NC if before_relu else F.relu(scores_NC)
