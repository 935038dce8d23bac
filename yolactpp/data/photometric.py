"""SSD's photometric distortion: brightness, contrast, saturation and hue, without clipping.

The draws are kept apart from the pixels so that only the pixels that stay in view are distorted.
Fact: a random stream drawn here is consumed exactly as by the original (tests: golden).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

BRIGHTNESS = 32.0
CONTRAST = (0.5, 1.5)
SATURATION = (0.5, 1.5)
HUE_DEGREES = 18.0


@dataclass(frozen=True)
class Distortion:
    """Drawn amounts; None leaves that property alone."""

    brightness: float | None
    contrast: float | None
    contrast_first: bool
    saturation: float | None
    hue: float | None


def draw_distortion(rng: np.random.RandomState) -> Distortion:
    """Draw what to do, each property with probability 1/2, in the original's order."""
    brightness = _maybe(rng, -BRIGHTNESS, BRIGHTNESS)
    contrast_first = bool(rng.randint(2))
    contrast = _maybe(rng, *CONTRAST) if contrast_first else None
    saturation = _maybe(rng, *SATURATION)
    hue = _maybe(rng, -HUE_DEGREES, HUE_DEGREES)
    if not contrast_first:
        contrast = _maybe(rng, *CONTRAST)
    return Distortion(brightness, contrast, contrast_first, saturation, hue)


def distort(image: np.ndarray, distortion: Distortion) -> np.ndarray:
    """Apply a distortion to a BGR float32 image [H, W, 3] on the 0..255 scale.

    Values may leave 0..255. The way through HSV is taken always: for negative values it is no
    identity, and the original takes it always.
    """
    if distortion.brightness is not None:
        image = image + np.float32(distortion.brightness)
    if distortion.contrast is not None and distortion.contrast_first:
        image = image * np.float32(distortion.contrast)
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hue, saturation = hsv[:, :, 0], hsv[:, :, 1]
    if distortion.saturation is not None:
        np.multiply(saturation, np.float32(distortion.saturation), out=saturation)
    if distortion.hue is not None:
        np.add(hue, np.float32(distortion.hue), out=hue)
        np.subtract(hue, 360, out=hue, where=hue > 360)
        np.add(hue, 360, out=hue, where=hue < 0)
    image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if distortion.contrast is not None and not distortion.contrast_first:
        image = image * np.float32(distortion.contrast)
    return image


def amounts(distortion: Distortion) -> tuple[float, float, float, float, float]:
    """Brightness, contrast before the colours, saturation, hue in degrees, contrast after them.

    What is left alone has the amount that changes nothing, 0 or 1.
    """
    contrast = 1.0 if distortion.contrast is None else distortion.contrast
    return (
        distortion.brightness or 0.0,
        contrast if distortion.contrast_first else 1.0,
        1.0 if distortion.saturation is None else distortion.saturation,
        distortion.hue or 0.0,
        1.0 if distortion.contrast_first else contrast,
    )


def _maybe(rng: np.random.RandomState, low: float, high: float) -> float | None:
    return rng.uniform(low, high) if rng.randint(2) else None
