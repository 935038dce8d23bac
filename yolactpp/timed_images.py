"""Batches of image files, decoded and made ready again and again for timing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from yolactpp.data.image_file import read_image
from yolactpp.data.resize import EvalTransform
from yolactpp.engine.failures import BadInputError

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
# Pixels between the knots of a drawn picture: smooth enough to compress as a photograph does.
_KNOTS = 12


class TimedImages:
    """A batch of files, in two steps that are timed apart.

    Args:
        paths: image files, repeated where the batch has more.
        batch_size: images a batch.
        image_size: side of the network's input in pixels.
        device: where the network runs.
        channels_last: memory layout of the batch.
    """

    def __init__(
        self,
        paths: list[Path],
        batch_size: int,
        image_size: int,
        device: torch.device,
        *,
        channels_last: bool = False,
    ) -> None:
        self.device = device
        self._files = _batches(paths, batch_size)
        self._transform = EvalTransform(image_size)
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._images: list[np.ndarray] = []

    def decode(self) -> None:
        """Read the next batch of files."""
        self._images = [read_image(path) for path in next(self._files)]

    def preprocess(self) -> tuple[Tensor, list[tuple[int, int]]]:
        """The decoded batch on the device [B, 3, S, S], and the images' heights and widths."""
        batch = torch.stack([self._transform(image) for image in self._images])
        sizes_hw = [(image.shape[0], image.shape[1]) for image in self._images]
        return batch.to(self.device, memory_format=self._format), sizes_hw


def find_images(source: str) -> list[Path]:
    """The images that a file's, a folder's or a pattern's name stands for.

    Raises:
        BadInputError: there is none.
    """
    place = Path(source).expanduser()
    if place.is_file():
        return [place]
    files = place.rglob("*") if place.is_dir() else Path().glob(source)
    found = sorted(path for path in files if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise BadInputError(f"source={source}: no image there; give a file, folder or pattern")
    return found


def draw_images(folder: Path, count: int, height: int, width: int) -> list[Path]:
    """Smooth random pictures as JPEG files.

    Args:
        folder: where they go.
        count: how many.
        height, width: in pixels.
    """
    rng = np.random.default_rng(0)
    knots = (math.ceil(height / _KNOTS), math.ceil(width / _KNOTS), 3)
    paths = [folder / f"{index}.jpg" for index in range(count)]
    for path in paths:
        small = rng.integers(0, 256, knots, dtype=np.uint8)
        picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        path.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    return paths


def _batches(paths: list[Path], batch_size: int) -> Iterator[list[Path]]:
    """Batches of the paths without end."""
    endless = cycle(paths)
    while True:
        yield list(islice(endless, batch_size))
