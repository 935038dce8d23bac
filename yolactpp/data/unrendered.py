"""Training images as the loader's workers leave them where the device computes the pixels.

A worker hands over the bytes in view and numbers: the amounts of the distortion, and for each row
and column of the result which two source pixels it mixes. Mirrors, turns and the canvas around the
image are in those numbers. Shape letters: B images, P pixels of all images one after the other, S
the result's side; the two 2s of `B22S` are the result's rows and columns, and the two pixels mixed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor

from yolactpp.data.orient import source_axes
from yolactpp.data.photometric import amounts
from yolactpp.data.plan import Plan
from yolactpp.data.resize import taps
from yolactpp.data.view import visible_part

ROWS, COLUMNS = 0, 1


@dataclass
class UnrenderedImages:
    """Images of which yolactpp.data.rendering makes the network's input.

    The result of image b at row y and column x mixes the pixels `index_B22S[b, ROWS, :, y] +
    index_B22S[b, COLUMNS, :, x]`, weighted by the products of `weight_B22S` there.

    Args:
        pixels_P3: uint8 BGR, each image's part in view, row by row.
        count_B: int64, how many of the pixels are each image's; at least 1.
        amounts_B5: float32, see `photometric.amounts`; [0, 5] where no image is distorted.
        index_B22S: int32.
        weight_B22S: float32; 0 where the canvas around the image, of the mean colour, is mixed.
    """

    pixels_P3: Tensor
    count_B: Tensor
    amounts_B5: Tensor
    index_B22S: Tensor
    weight_B22S: Tensor

    @classmethod
    def of(cls, image_bgr: np.ndarray, plan: Plan, size: int) -> Self:
        """One image.

        Args:
            image_bgr: uint8 [H, W, 3], left unchanged.
            plan: what was drawn for it.
            size: side S of the result, pixels.
        """
        view = plan.view
        seen, (top, _, left, _) = visible_part(image_bgr, view)
        height, width = seen.shape[:2] if seen.size else (0, 0)
        if not seen.size:
            seen = np.zeros((1, 1, 3), np.uint8)
        rows, down_2S, down_weight_2S = _axis(view.height, top, height, size)
        columns, along_2S, along_weight_2S = _axis(view.width, left, width, size)
        if len(rows) * len(columns) < seen.shape[0] * seen.shape[1]:
            seen = seen[np.ix_(rows, columns)]
        index = (down_2S * len(columns), along_2S)
        drawn = [] if plan.distortion is None else [amounts(plan.distortion)]
        return cls(
            torch.from_numpy(np.ascontiguousarray(seen).reshape(-1, 3)),
            torch.tensor([seen.shape[0] * seen.shape[1]]),
            torch.tensor(drawn).reshape(-1, 5),
            _oriented(index, plan)[None].to(torch.int32),
            _oriented((down_weight_2S, along_weight_2S), plan)[None],
        )

    @classmethod
    def together(cls, images: list[Self]) -> Self:
        """A batch of what `of` returned for one transform's plans."""
        batch = cls(*(torch.cat(parts) for parts in zip(*map(cls._parts, images), strict=True)))
        start_B = batch.count_B.cumsum(0) - batch.count_B
        batch.index_B22S[:, ROWS] += start_B.to(torch.int32)[:, None, None]
        return batch

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        return type(self)(*(part.to(device, non_blocking=non_blocking) for part in self._parts()))

    def pin_memory(self) -> Self:
        return type(self)(*(part.pin_memory() for part in self._parts()))

    def _parts(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


def _axis(
    canvas: int, offset: int, length: int, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along one of the source's axes: which of the image's pixels to keep, and among those the two
    that each result mixes, int64 [2, S], and their weights, float32 [2, S].

    At most 2 S pixels are mixed: of a larger image the others need not be moved.
    """
    first, second, share = taps(canvas, size)
    index_2S = np.stack([first, second]) - offset
    weight_2S = np.stack([1 - share, share])
    weight_2S[(index_2S < 0) | (index_2S >= length)] = 0
    last = max(length - 1, 0)
    index_2S = index_2S.clip(0, last)
    if length <= 2 * size:
        return np.arange(last + 1), index_2S, weight_2S
    kept = np.unique(index_2S)
    return kept, np.searchsorted(kept, index_2S), weight_2S


def _oriented(of_axes: tuple[np.ndarray, np.ndarray], plan: Plan) -> Tensor:
    """What belongs to the source's rows and columns, [2, S] each, for the result's: [2, 2, S]."""
    oriented = [
        of_axes[axis][:, ::-1] if backwards else of_axes[axis]
        for axis, backwards in source_axes(*plan.orientation)
    ]
    return torch.from_numpy(np.stack(oriented))
