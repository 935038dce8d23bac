"""Ground for synthetic scenes: photographed gravel, grass and brick, procedural asphalt and sand.

The photographs are scikit-image's own (greyscale, inside its package); colour is given here.
Legend: every texture is float32 BGR [size, size, 3] in 0..1.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import skimage.data

# Dark and light end of each ground's colours, BGR.
PALETTES: dict[str, list[tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    "gravel": [
        ((0.16, 0.18, 0.20), (0.66, 0.70, 0.72)),
        ((0.12, 0.17, 0.22), (0.56, 0.66, 0.74)),
        ((0.20, 0.19, 0.18), (0.76, 0.74, 0.70)),
    ],
    "grass": [
        ((0.03, 0.10, 0.06), (0.30, 0.66, 0.46)),
        ((0.04, 0.12, 0.10), (0.34, 0.62, 0.62)),
        ((0.05, 0.13, 0.05), (0.38, 0.60, 0.34)),
    ],
    "brick": [
        ((0.12, 0.14, 0.26), (0.46, 0.54, 0.72)),
        ((0.18, 0.20, 0.23), (0.62, 0.65, 0.68)),
    ],
    "asphalt": [
        ((0.10, 0.10, 0.10), (0.46, 0.45, 0.44)),
        ((0.16, 0.15, 0.14), (0.58, 0.57, 0.56)),
    ],
    "sand": [
        ((0.30, 0.42, 0.52), (0.66, 0.80, 0.88)),
        ((0.22, 0.34, 0.46), (0.55, 0.70, 0.82)),
    ],
}
GROUNDS = tuple(PALETTES)


def render_ground(kind: str, size: int, grain: float, rng: np.random.RandomState) -> np.ndarray:
    """A square of ground.

    Args:
        kind: one of GROUNDS.
        size: side in pixels.
        grain: pixels of one 512th of the scene; sets the size of stones, blades and grains.
        rng: source of randomness.
    """
    if kind == "asphalt":
        lightness = _asphalt(size, grain, rng)
    elif kind == "sand":
        lightness = _sand(size, grain, rng)
    else:
        lightness = _photograph(kind, size, rng)
    dark, light = (
        np.array(end, np.float32) for end in PALETTES[kind][rng.randint(len(PALETTES[kind]))]
    )
    # Patches of slightly different colour and brightness, as worn or damp ground has.
    tint = 1 + 0.015 * np.stack([smooth_noise(size, 3, rng) for _ in range(3)], axis=-1)
    patches = 1 + 0.07 * smooth_noise(size, 4, rng)[:, :, None]
    return (dark + (light - dark) * lightness[:, :, None]) * tint * patches


def smooth_noise(size: int, cells: int, rng: np.random.RandomState) -> np.ndarray:
    """Noise of `cells` random values a side, smoothly enlarged: float32 [size, size], std ~0.7."""
    coarse = rng.standard_normal((cells + 1, cells + 1)).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


@lru_cache(maxsize=8)
def _photo(kind: str) -> np.ndarray:
    """The photograph, stretched to 0..1 between its 2nd and 98th percentile."""
    image = getattr(skimage.data, kind)().astype(np.float32)
    low, high = np.percentile(image, (2, 98))
    return np.clip((image - low) / (high - low), 0, 1)


def _photograph(kind: str, size: int, rng: np.random.RandomState) -> np.ndarray:
    """A random part of the photograph, turned and mirrored."""
    photo = _photo(kind)
    side = int(photo.shape[0] * rng.uniform(0.45, 0.95))
    y, x = rng.randint(0, photo.shape[0] - side, 2)
    part = np.rot90(photo[y : y + side, x : x + side], rng.randint(4))
    if rng.randint(2):
        part = part[:, ::-1]
    interpolation = cv2.INTER_AREA if size < side else cv2.INTER_CUBIC
    part = cv2.resize(np.ascontiguousarray(part), (size, size), interpolation=interpolation)
    return np.clip(part, 0, 1)


def _asphalt(size: int, grain: float, rng: np.random.RandomState) -> np.ndarray:
    """Bitumen with bright and dark stones of two sizes, sometimes with a crack."""
    stones = np.clip(_grains(size, 2.6 * grain, rng) - 0.9, 0, 0.7) / 0.7
    grit = _grains(size, 0.9 * grain, rng)
    pores = np.clip(_grains(size, 1.8 * grain, rng) - 1.0, 0, 0.8) / 0.8
    shade = rng.uniform(0.25, 0.75) * (0.5 + 0.5 * rng.uniform(size=(size, size)))
    lightness = 0.33 + 0.13 * grit + 0.35 * stones * shade - 0.28 * pores
    if rng.uniform() < 0.35:
        lightness -= 0.35 * _crack(size, grain, rng)
    return np.clip(lightness, 0, 1).astype(np.float32)


def _sand(size: int, grain: float, rng: np.random.RandomState) -> np.ndarray:
    """Fine grains on dunes of a few centimetres, lit from the side."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    across = x * np.cos(angle) + y * np.sin(angle) + 0.06 * smooth_noise(size, 5, rng)
    ripples = np.sin(2 * np.pi * across * rng.uniform(3, 9)) * rng.uniform(0.02, 0.10)
    hollows = 0.05 * smooth_noise(size, 9, rng)
    fine = 0.13 * _grains(size, 0.7 * grain, rng) + 0.05 * _grains(size, 1.8 * grain, rng)
    specks = -0.3 * (_grains(size, 1.2 * grain, rng) > 2.4) + 0.2 * (fine > 0.3)
    return np.clip(0.55 + ripples + hollows + fine + specks, 0, 1).astype(np.float32)


def _grains(size: int, sigma: float, rng: np.random.RandomState) -> np.ndarray:
    """White noise blurred to grains of about `sigma` pixels, scaled back to unit variance."""
    noise: np.ndarray = rng.standard_normal((size, size)).astype(np.float32)
    if sigma > 0.4:
        noise = cv2.GaussianBlur(noise, (0, 0), sigma)
        noise = noise / noise.std()
    return noise


def _crack(size: int, grain: float, rng: np.random.RandomState) -> np.ndarray:
    """A jagged line across the scene, 1 on it and 0 off it."""
    steps = np.cumsum(rng.normal(0, 0.03, 25)) + rng.uniform(0.2, 0.8)
    points = np.stack([np.linspace(-0.05, 1.05, 25), steps], axis=1) * size
    if rng.randint(2):
        points = points[:, ::-1]
    line = np.zeros((size, size), np.float32)
    thickness = max(1, round(3 * grain))
    cv2.polylines(line, [points.astype(np.int32)], False, 1.0, thickness, cv2.LINE_AA)
    return cv2.GaussianBlur(line, (0, 0), max(0.5, 1.2 * grain))
