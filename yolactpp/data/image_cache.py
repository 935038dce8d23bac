"""Decoded images in one block of memory, which all processes that load see without a copy."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import torch

from yolactpp.data.annotation_file import DatasetError

CHANNELS = 3


class ImageCache:
    """Images of one data set, uint8 [H, W, 3] each, in their order.

    They lie in one tensor: forked processes share its pages, which no reference count touches, and
    processes that start otherwise get it through shared memory, where torch moves it once and which
    must have the room (a container's 64 MB may not do).

    Args:
        sizes: height and width of each image, pixels.
        images: the images; each of its size.

    Raises:
        DatasetError: they would take more than half of the memory that is free.
    """

    def __init__(self, sizes: list[tuple[int, int]], images: Iterable[np.ndarray]) -> None:
        lengths = [height * width * CHANNELS for height, width in sizes]
        _refuse_oversized(sum(lengths))
        self._shapes = [(height, width, CHANNELS) for height, width in sizes]
        self._ends = np.cumsum(lengths)
        self._block = torch.empty(sum(lengths), dtype=torch.uint8)
        for index, image in enumerate(images):
            self[index][:] = image

    def __getitem__(self, index: int) -> np.ndarray:
        end = int(self._ends[index])
        shape = self._shapes[index]
        return self._block[end - int(np.prod(shape)) : end].numpy().reshape(shape)


def _refuse_oversized(needed: int) -> None:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > free / 2:
        raise DatasetError(
            f"cache_images: {needed / 1e9:.1f} GB of decoded images, but only {free / 1e9:.1f} GB "
            "of memory are free; set runtime.cache_images=false"
        )
