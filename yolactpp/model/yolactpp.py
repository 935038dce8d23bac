"""YOLACT++ as a Segmenter: network, criterion and detector behind one face."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from yolactpp.model.network import YolactppNetwork
from yolactpp.structures import Detections, HeadOutputs, Stopwatch, Targets


class YolactPP(nn.Module):
    """Training losses and detections of a YOLACT++ network; see `structures.Segmenter`.

    Args:
        network: images to raw outputs.
        criterion: `(outputs, targets, mask_iou_net, progress) -> losses`; a Module, so that what
            it learns (weights of terms) is trained and saved with the network.
        detector: `(outputs, sizes_hw, mask_iou_net, stopwatch) -> list[Detections]`.
    """

    def __init__(
        self,
        network: YolactppNetwork,
        criterion: nn.Module,
        detector: Callable[..., list[Detections]],
    ) -> None:
        super().__init__()
        self.network = network
        self.criterion = criterion
        self.detector = detector

    def forward(
        self, images_B3HW: Tensor, targets: Targets, progress: float = 0.0
    ) -> dict[str, Tensor]:
        """The training losses, so that DistributedDataParallel can wrap the model."""
        return self.training_losses(images_B3HW, targets, progress)

    def training_losses(
        self, images_B3HW: Tensor, targets: Targets, progress: float = 0.0
    ) -> dict[str, Tensor]:
        outputs: HeadOutputs = self.network(images_B3HW)
        return self.criterion(outputs, targets, self.network.mask_iou, progress)

    @torch.no_grad()
    def detect(
        self,
        images_B3HW: Tensor,
        sizes_hw: list[tuple[int, int]],
        stopwatch: Stopwatch | None = None,
    ) -> list[Detections]:
        with stopwatch("forward") if stopwatch is not None else nullcontext():
            outputs = self.network(images_B3HW)
        return self.detector(outputs, sizes_hw, self.network.mask_iou, stopwatch)

    def freeze_batch_norm(self) -> None:
        self.network.freeze_batch_norm()
