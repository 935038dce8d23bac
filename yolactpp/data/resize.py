"""Resizing to the network's square input, normalisation, and the transform of evaluation."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

MEAN_BGR = (103.94, 116.78, 123.68)
STD_BGR = (57.38, 57.12, 58.40)


class EvalTransform:
    """Resize to a square, whatever the image's aspect, and normalise.

    Args:
        image_size: side of the network's input in pixels.
    """

    def __init__(self, image_size: int) -> None:
        if image_size < 1:
            raise ValueError(f"image_size={image_size}: a side of at least 1 pixel is needed")
        self.image_size = image_size

    def __call__(self, image_bgr: np.ndarray) -> Tensor:
        """BGR uint8 [H, W, 3] -> normalised RGB float32 [3, S, S]."""
        return normalise(resize_image(image_bgr.astype(np.float32), self.image_size))


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """Bilinear, half-pixel centres, no antialiasing: float32 [H, W, 3] -> [size, size, 3]."""
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)


def resize_on_canvas(
    image: np.ndarray, corner: tuple[int, int], canvas: tuple[int, int], size: int
) -> np.ndarray:
    """`resize_image` of a canvas of the mean colour that holds the image, without building it.

    A canvas of 4 x 4 times the image is mostly mean, and few of its pixels are sampled.

    Args:
        image: BGR float32 [h, w, 3].
        corner: row and column of the image's corner on the canvas.
        canvas: height and width of the canvas, pixels.
        size: side of the result.
    """
    framed = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=MEAN_BGR)
    rows, upper, lower, down = _taps_of_image(canvas[0], corner[0], image.shape[0], size)
    columns, before, after, along = _taps_of_image(canvas[1], corner[1], image.shape[1], size)
    lines = framed[upper] * (1 - down)[:, None, None] + framed[lower] * down[:, None, None]
    part = lines[:, before] * (1 - along)[:, None] + lines[:, after] * along[:, None]
    resized = np.empty((size, size, 3), np.float32)
    resized[:] = MEAN_BGR
    resized[rows, columns] = part
    return resized


def taps(canvas: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along one axis of a canvas: the two pixels that each of `size` results mixes, int64, and the
    second's weight, float32. Half-pixel centres, the canvas' edge repeated.
    """
    position = (np.arange(size) + 0.5) * (canvas / size) - 0.5
    position = np.clip(position, 0, canvas - 1)
    first = np.floor(position).astype(np.int64)
    second = np.minimum(first + 1, canvas - 1)
    return first, second, (position - first).astype(np.float32)


def _taps_of_image(
    canvas: int, offset: int, length: int, size: int
) -> tuple[slice, np.ndarray, np.ndarray, np.ndarray]:
    """`taps` of the image alone: which results see it, the two pixels of each, with a frame of one
    pixel around the image, and the second's weight.
    """
    first, second, weight = taps(canvas, size)
    seen = np.flatnonzero((second >= offset) & (first < offset + length))
    seen_slice = slice(seen[0], seen[-1] + 1) if len(seen) else slice(0, 0)
    framed = [np.clip(tap[seen_slice] - offset, -1, length) + 1 for tap in (first, second)]
    return seen_slice, framed[0], framed[1], weight[seen_slice]


def resize_mask(mask: np.ndarray, out: np.ndarray) -> None:
    """Bilinear in fixed point, 0.5 rounds up: uint8 0/1 [H, W] -> `out`, uint8 [S, S].

    One mask at a time: OpenCV refuses arrays of more than 128 (version 5) or 512 channels, gives
    the same bits either way, and is faster so.
    """
    cv2.resize(mask, out.shape, dst=out, interpolation=cv2.INTER_LINEAR)


def normalise(image_bgr: np.ndarray) -> Tensor:
    """(x - mean) / std on the 0..255 scale: BGR float32 [H, W, 3] -> RGB [3, H, W]."""
    mean = np.array(MEAN_BGR, np.float32)
    inverse_std = 1 / np.array(STD_BGR, np.float32)
    normalised = (image_bgr - mean) * inverse_std
    return torch.from_numpy(np.ascontiguousarray(normalised[:, :, ::-1].transpose(2, 0, 1)))


def without_small_boxes(boxes: np.ndarray, min_side: float) -> np.ndarray:
    """Indices of the boxes [n, 4] whose width and height both exceed `min_side`."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.flatnonzero((sides > min_side).all(axis=1))
