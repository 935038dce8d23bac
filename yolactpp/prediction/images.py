"""The kinds of image that a loaded model takes, made into one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from yolactpp.data.image_file import read_image

Pixels = NDArray[np.uint8]
ImageLike = str | Path | NDArray[np.generic] | Image.Image | Tensor


def as_bgr(image: ImageLike) -> Pixels:
    """BGR uint8 [H, W, 3] of whatever image it is.

    Args:
        image: a path; a PIL image (an EXIF orientation is applied); an array [H, W], [H, W, 1],
            [H, W, 3] or [H, W, 4] of RGB(A); or a tensor [3, H, W] or [1, H, W] of RGB or grey.
            Integers are uint8, or uint16 whose high byte counts; floating point is 0 to 1. An
            alpha channel is dropped.

    Raises:
        ImageError: a file that cannot be read.
        ValueError: an array of another shape, type or range, or without pixels.
        TypeError: nothing of these.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        return _as_bgr(np.asarray(ImageOps.exif_transpose(image).convert("RGB")))
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] not in (1, 3, 4):
            raise ValueError(
                f"an image tensor of shape {tuple(image.shape)}: give [3, H, W], one image each"
            )
        return _as_bgr(image.detach().cpu().permute(1, 2, 0).numpy())
    if isinstance(image, np.ndarray):
        return _as_bgr(image)
    raise TypeError(
        f"an image of type {type(image).__name__}: give a path, an array, a PIL image or a tensor"
    )


def _as_bgr(pixels: NDArray[np.generic]) -> Pixels:
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or pixels.size == 0:
        raise ValueError(f"an image array of shape {pixels.shape}: give [H, W, 3] in RGB order")
    bytes_HWC = _as_bytes(pixels)
    code = {1: cv2.COLOR_GRAY2BGR, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGR}[pixels.shape[2]]
    return np.asarray(cv2.cvtColor(bytes_HWC, code), np.uint8)


def _as_bytes(pixels: NDArray[np.generic]) -> Pixels:
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels, np.uint8)
    if pixels.dtype == np.uint16:
        return (pixels.astype(np.uint16) >> 8).astype(np.uint8)
    if np.issubdtype(pixels.dtype, np.floating):
        values = pixels.astype(np.float32)
        if not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(
                f"a floating-point image from {values.min():g} to {values.max():g}: give 0 to 1"
            )
        return np.rint(values * 255).astype(np.uint8)
    raise ValueError(f"an image of type {pixels.dtype}: give uint8")
