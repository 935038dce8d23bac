"""Image files written whole, with an error where that fails."""

from __future__ import annotations

from pathlib import Path

import cv2

from yolactpp.prediction.images import Pixels

JPEG_QUALITY = 95


def write_image(path: Path, pixels: Pixels) -> None:
    """Write BGR or grey uint8 pixels in the format of the path's suffix, .jpg or .png.

    Raises:
        OSError: it cannot be encoded or written.
    """
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else []
    is_encoded, content = cv2.imencode(path.suffix, pixels, settings)
    if not is_encoded:
        raise OSError(None, "the image cannot be encoded", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.tobytes())
