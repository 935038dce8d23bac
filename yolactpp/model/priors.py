"""Priors (anchors): the boxes that the head's offsets are relative to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class PriorGrid:
    """Anchors of every cell of every level, as cx, cy, w, h relative to the image.

    A level of stride s has scales base * s * 2^(j / scales) pixels, j = 0 .. scales - 1. A prior
    of scale p and ratio r is p * sqrt(r) wide and p / sqrt(r) high. Both sides are divided by
    `image_size`, so anchors keep their pixels only at that size.

    Args:
        base: smallest scale of a level over its stride; 3 gives the original's 24 .. 384 px.
        scales: scales a level, spread over an octave.
        ratios: width over height.
        square: the height is set to the width, as plain YOLACT does.

    Raises:
        ValueError: if a number is not positive or there are no ratios.
    """

    def __init__(
        self,
        *,
        base: float = 3.0,
        scales: int = 3,
        ratios: Sequence[float] = (1.0, 0.5, 2.0),
        square: bool = False,
    ) -> None:
        if base <= 0 or scales < 1 or not ratios or min(ratios) <= 0:
            raise ValueError(
                f"priors base={base}, scales={scales}, ratios={list(ratios)}: give a positive "
                "base, at least one scale and positive ratios"
            )
        self.base = base
        self.scales = scales
        self.ratios = tuple(ratios)
        self.square = square
        self._made: dict[tuple[object, ...], Tensor] = {}

    @property
    def anchors(self) -> int:
        """Anchors a cell."""
        return self.scales * len(self.ratios)

    def __call__(
        self,
        sizes_hw: Sequence[tuple[int, int]],
        strides: Sequence[int],
        image_size: int,
        device: torch.device,
    ) -> Tensor:
        """Priors [P, 4], float32, by level, row, column, scale, ratio; made once a layout."""
        key = (tuple(sizes_hw), tuple(strides), image_size, device)
        if key not in self._made:
            levels = [
                self._level(*size_hw, stride, image_size)
                for size_hw, stride in zip(sizes_hw, strides, strict=True)
            ]
            self._made[key] = torch.cat(levels).to(device)
        return self._made[key]

    def _level(self, height: int, width: int, stride: int, image_size: int) -> Tensor:
        shapes = self._shapes(stride, image_size)
        rows = (torch.arange(height, dtype=torch.float64) + 0.5) / height
        columns = (torch.arange(width, dtype=torch.float64) + 0.5) / width
        priors = torch.empty(height, width, len(shapes), 4, dtype=torch.float64)
        priors[..., 0] = columns[None, :, None]
        priors[..., 1] = rows[:, None, None]
        priors[..., 2:] = shapes
        return priors.view(-1, 4).float()

    def _shapes(self, stride: int, image_size: int) -> Tensor:
        shapes = []
        for index in range(self.scales):
            scale = self.base * stride * 2 ** (index / self.scales)
            for ratio in self.ratios:
                width = scale * math.sqrt(ratio) / image_size
                height = width if self.square else scale / math.sqrt(ratio) / image_size
                shapes.append((width, height))
        return torch.tensor(shapes, dtype=torch.float64)
