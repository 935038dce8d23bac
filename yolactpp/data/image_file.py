"""The one place where image files are decoded, and the errors it names.

What comes out is always BGR uint8 HWC, upright: greyscale is repeated, an alpha channel is dropped,
16-bit values keep their high byte, CMYK is converted and an EXIF orientation is applied.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

EXIF_ORIENTATION = 0x0112
EXIF_SWAPS_SIDES = frozenset({5, 6, 7, 8})
# A file of these formats that lacks its end marker was cut off; decoders would fill the rest grey.
END_MARKERS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND"}


class ImageError(ValueError):
    """An image file cannot be used; the message names the file and the reason."""


def read_image(path: Path) -> np.ndarray:
    """Decode an image file to BGR uint8 [H, W, 3], upright.

    Raises:
        ImageError: the file is missing, empty, cut off, or of no format that OpenCV reads.
    """
    content = _read_bytes(path)
    for start, end in END_MARKERS.items():
        if content.startswith(start) and content.rfind(end) < 0:
            raise ImageError(f"{path}: cut off after {len(content)} bytes; copy the file again")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"{path}: cannot be decoded ({error.err})") from error
    if image is None:
        raise ImageError(
            f"{path}: not an image that OpenCV reads (first bytes {content[:8]!r}); "
            "convert it to PNG or JPEG"
        )
    return image


def read_image_size(path: Path) -> tuple[int, int]:
    """Height and width of the upright image, from the file's header alone.

    Raises:
        ImageError: the file is missing, empty or has no readable header.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        _read_bytes(path)
        raise ImageError(f"{path}: no readable image header ({error})") from error
    if orientation in EXIF_SWAPS_SIDES:
        height, width = width, height
    return height, width


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from error
    if not content:
        raise ImageError(f"{path}: the file is empty (0 bytes)")
    return content
