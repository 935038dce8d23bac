"""Pixels of training images on the device: distortion, orientation, resize, normalisation.

What `TrainTransform` computes with OpenCV, for a whole batch at once and without waiting for the
device; equal to its pixels up to rounding (tests: rendering). Shape letters as in
yolactpp.data.unrendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from yolactpp.data.resize import MEAN_BGR, STD_BGR
from yolactpp.data.unrendered import COLUMNS, ROWS, UnrenderedImages
from yolactpp.structures import Targets

# OpenCV's guard against a division by zero.
EPSILON = torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class RenderedBatches:
    """Batches of unrendered images, with their pixels computed on a device.

    Args:
        loader: batches from `train_loader(..., unrendered=True)`.
        device: where the images come out; the targets stay where they are.
    """

    loader: Iterable[tuple[UnrenderedImages, Targets]]
    device: torch.device

    def __iter__(self) -> Iterator[tuple[Tensor, Targets]]:
        # `map` starts the loader's workers now, not with the first batch.
        return map(self._rendered, self.loader)

    def _rendered(self, batch: tuple[UnrenderedImages, Targets]) -> tuple[Tensor, Targets]:
        images, targets = batch
        return render(images.to(self.device, non_blocking=True)), targets


def render(images: UnrenderedImages) -> Tensor:
    """The network's input: normalised RGB float32 [B, 3, S, S], in memory channels last.

    Pixels are normalised before they are mixed, so that the canvas' mean colour is 0.
    """
    bgr_3P = list(images.pixels_P3.float().unbind(1))
    if len(images.amounts_B5):
        amounts_P5 = images.amounts_B5.repeat_interleave(
            images.count_B, dim=0, output_size=len(images.pixels_P3)
        )
        bgr_3P = _distort(bgr_3P, amounts_P5)
    normalised = zip(bgr_3P, MEAN_BGR, STD_BGR, strict=True)
    bgr_3P = [(channel_P - mean) * (1 / std) for channel_P, mean, std in normalised]
    return _mix(torch.stack(bgr_3P[::-1], dim=1), images).permute(0, 3, 1, 2)


def _distort(bgr_3P: list[Tensor], amounts_P5: Tensor) -> list[Tensor]:
    """`photometric.distort`, each pixel by amounts of its own.

    Only hue and chroma (value times saturation) of HSV are needed. Where the largest channel is
    negative the chroma is too, which is why the way there and back is no identity.
    """
    brightness_P, contrast_P, saturation_P, hue_P, last_contrast_P = amounts_P5.unbind(1)
    blue_P, green_P, red_P = ((channel_P + brightness_P) * contrast_P for channel_P in bgr_3P)
    value_P = torch.maximum(torch.maximum(blue_P, green_P), red_P)
    spread_P = value_P - torch.minimum(torch.minimum(blue_P, green_P), red_P)
    chroma_P = spread_P / (value_P.abs() + EPSILON) * saturation_P * value_P
    sextant_P = hue_P / 60 + torch.where(
        value_P == red_P,
        (green_P - blue_P) / (spread_P + EPSILON),
        torch.where(
            value_P == green_P,
            (blue_P - red_P) / (spread_P + EPSILON) + 2,
            (red_P - green_P) / (spread_P + EPSILON) + 4,
        ),
    )
    return [
        (value_P - chroma_P * _share_of_chroma(sextant_P + start)) * last_contrast_P
        for start in (1, 3, 5)
    ]


def _share_of_chroma(sextant_P: Tensor) -> Tensor:
    """How much of the chroma a channel lacks, by the hue's distance from it: 0 to 1."""
    around_P = sextant_P.remainder(6)
    return torch.minimum(around_P, 4 - around_P).clamp(0, 1)


def _mix(colours_P3: Tensor, images: UnrenderedImages) -> Tensor:
    """Each result's four pixels by their weights: float32 [B, S, S, 3]."""
    batch, *_, size = images.index_B22S.shape
    mixed_BSS3 = colours_P3.new_zeros(batch, size, size, 3)
    for row, column in product(range(2), range(2)):
        rows, columns = (slice(None), ROWS, row), (slice(None), COLUMNS, column)
        index_BSS = images.index_B22S[rows][:, :, None] + images.index_B22S[columns][:, None]
        weight_BSS = images.weight_B22S[rows][:, :, None] * images.weight_B22S[columns][:, None]
        found_BSS3 = colours_P3.index_select(0, index_BSS.flatten()).view_as(mixed_BSS3)
        mixed_BSS3.addcmul_(found_BSS3, weight_BSS[..., None])
    return mixed_BSS3
