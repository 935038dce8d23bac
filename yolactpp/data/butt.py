"""One cigarette butt: its random shape, and its pixels on a patch of the scene.

A butt is a strip along a curved and kinked axis. For every pixel of the patch the position (s, t)
along and across that axis is computed; half-width, colour and light follow from (s, t).
Outline and colours are separate steps, since only butts that found a place are coloured.
Legend: s along the axis from the filter's end (0) to the burnt end (length), t across it, pixels;
M the pixels that the butt touches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from yolactpp.data.ground import smooth_noise

# BGR in 0..1.
CORK = (0.33, 0.55, 0.78)
WHITE = (0.86, 0.90, 0.92)
STAIN = (0.36, 0.60, 0.74)
SCORCH = (0.10, 0.17, 0.26)
ASH_DARK = (0.13, 0.13, 0.14)
ASH_LIGHT = (0.58, 0.59, 0.60)
GOLD = (0.28, 0.56, 0.74)
DIRT = (0.16, 0.20, 0.24)
# Room around a butt for its bend, kink and soft edge, relative to its length.
PATCH_MARGIN = 0.2


@dataclass(frozen=True)
class Butt:
    """Shape and looks of one butt; lengths in pixels, angles in radians.

    Args:
        x, y: middle of the axis.
        angle: direction of the axis at its middle.
        length, width: of the uncrushed butt.
        bend: angle by which the axis turns from end to end.
        kink, kink_at: sideways slope change of a crushed butt, and where (fraction of length).
        crush: 0 round, 1 trodden flat: wider, uneven, creased.
        filter_part: fraction of the length that is filter.
        ash_part: fraction that is ash and scorched paper.
        is_cork: whether the filter's wrapper is cork-coloured, not white.
        has_ring: whether a thin golden ring ends the filter.
        dirt: 0 clean to 1 filthy.
        seed: of the noise in outline and colours.
    """

    x: float
    y: float
    angle: float
    length: float
    width: float
    bend: float
    kink: float
    kink_at: float
    crush: float
    filter_part: float
    ash_part: float
    is_cork: bool
    has_ring: bool
    dirt: float
    seed: int


@dataclass(frozen=True)
class Light:
    """Direction towards the light, azimuth in the image plane and elevation; share of ambient."""

    azimuth: float
    elevation: float
    ambient: float


@dataclass(frozen=True)
class Outline:
    """Where a butt lies: coverage [h, w] at a corner of the scene, and (s, t) of the M pixels.

    Args:
        left, top: the patch's corner in the scene; it may lie outside.
        alpha: coverage in 0..1, [h, w].
        along, across, half_width: s, t and half of the width, pixels, [M].
        direction: of the axis, radians, [M].
        noise: smooth, about -2..2, [M].
    """

    left: int
    top: int
    alpha: np.ndarray
    along: np.ndarray
    across: np.ndarray
    half_width: np.ndarray
    direction: np.ndarray
    noise: np.ndarray


def draw_butt(
    size: int, length: float, aspect: tuple[float, float], rng: np.random.RandomState
) -> Butt:
    """Draw a butt of a length (pixels) somewhere in a scene of `size` pixels a side.

    A part may lie outside the scene. `aspect` is the range of length over width.
    """
    crush = rng.beta(1.0, 2.2)
    smoked_to_filter = rng.uniform() < 0.25
    filter_part = rng.uniform(0.75, 0.92) if smoked_to_filter else rng.uniform(0.35, 0.7)
    return Butt(
        x=rng.uniform(0.04, 0.96) * size,
        y=rng.uniform(0.04, 0.96) * size,
        angle=rng.uniform(0, 2 * np.pi),
        length=length,
        width=length / rng.uniform(*aspect),
        bend=rng.normal(0, 0.28) * (1 + crush),
        kink=rng.normal(0, 0.45) * crush,
        kink_at=rng.uniform(0.3, 0.7),
        crush=crush,
        filter_part=filter_part,
        ash_part=rng.uniform(0.05, 0.45) * (1 - filter_part),
        is_cork=bool(rng.uniform() < 0.7),
        has_ring=bool(rng.uniform() < 0.4),
        dirt=rng.beta(1.2, 2.5),
        seed=rng.randint(2**31),
    )


def outline_butt(butt: Butt) -> Outline:
    """The butt's outline on a patch of the scene."""
    rng = np.random.RandomState(butt.seed)
    reach = math.ceil(butt.length * (0.5 + PATCH_MARGIN) + butt.width)
    left, top = int(butt.x) - reach, int(butt.y) - reach
    y, x = np.mgrid[top : top + 2 * reach, left : left + 2 * reach].astype(np.float32)
    s, t, direction = _axis_coordinates(butt, x, y)
    noise = 0.6 * smooth_noise(2 * reach, 9, rng) + 0.4 * smooth_noise(2 * reach, 23, rng)
    half_width = _half_width(butt, s, rng)
    alpha = np.clip(_distance_inside(butt, s, t, half_width, noise) + 0.5, 0, 1)
    touched = alpha > 0
    return Outline(
        left,
        top,
        alpha,
        s[touched],
        t[touched],
        half_width[touched],
        direction[touched],
        noise[touched],
    )


def colour_butt(butt: Butt, outline: Outline, light: Light) -> np.ndarray:
    """Colours of a butt under a light: BGR float32 [h, w, 3] in 0..1, 0 where it is not."""
    rng = np.random.RandomState(butt.seed + 1)
    fleck = rng.standard_normal(outline.alpha.shape).astype(np.float32)
    touched = outline.alpha > 0
    albedo = _albedo(butt, outline, cv2.GaussianBlur(fleck, (0, 0), 0.7)[touched], rng)
    albedo *= 1 + 0.03 * fleck[touched][:, None]
    colour = np.zeros((*touched.shape, 3), np.float32)
    colour[touched] = np.clip(albedo * _shading(butt, outline, light)[:, None], 0, 1)
    return colour


def _axis_coordinates(
    butt: Butt, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """s, t and the direction of the axis at each pixel: an arc, then a smooth kink."""
    cos, sin = math.cos(butt.angle), math.sin(butt.angle)
    dx, dy = x - butt.x, y - butt.y
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    radius = butt.length / (butt.bend if abs(butt.bend) > 1e-3 else 1e-3)
    sign = math.copysign(1, radius)
    turned = np.arctan2(u * sign, (radius - v) * sign)
    s = radius * turned + butt.length / 2
    t = radius - sign * np.hypot(u, radius - v)
    from_kink = s - butt.kink_at * butt.length
    softness = 0.3 * butt.width
    t = t - butt.kink * (np.sqrt(from_kink**2 + softness**2) - 0.25 * butt.length)
    return s, t, butt.angle + turned


def _half_width(butt: Butt, s: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Half of the width along s: widened and dented by crushing, pinched at a kink."""
    along = np.linspace(-0.5, 1.5, 400)
    waves = np.zeros_like(along)
    for order, frequency in enumerate((1.3, 2.9, 5.1), start=1):
        waves += np.sin(2 * np.pi * frequency * along + rng.uniform(0, 2 * np.pi)) / order
    pinch = np.exp(-(((along - butt.kink_at) / 0.09) ** 2)) * min(1.0, 1.2 * abs(butt.kink))
    # The burnt end is thinner than the filter, and the paper hangs looser.
    taper = 1 - 0.12 * np.clip((along - butt.filter_part) / max(1e-3, 1 - butt.filter_part), 0, 1)
    widened = 1 + 0.35 * butt.crush + 0.13 * butt.crush * waves - 0.22 * pinch
    profile = 0.5 * butt.width * widened * taper
    return np.interp(s, along * butt.length, profile).astype(np.float32)


def _distance_inside(
    butt: Butt, s: np.ndarray, t: np.ndarray, half_width: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Pixels from the outline, positive inside: sides, a rounded filter end, a ragged burnt end."""
    sides = half_width - np.abs(t) + 0.05 * butt.width * (0.3 + butt.crush) * noise
    # The end of a lying cylinder seen from above bulges; seen flat it is straight.
    bulge = 0.16 * butt.width * np.sqrt(np.clip(1 - (t / (half_width + 1e-6)) ** 2, 0, 1))
    filter_end = s + bulge - 0.08 * butt.width
    ragged = 0.18 * butt.width * noise * (0.6 + butt.crush)
    burnt_end = butt.length - s + 0.6 * bulge + ragged
    return np.minimum(np.minimum(sides, filter_end), burnt_end)


def _albedo(
    butt: Butt, outline: Outline, speckle: np.ndarray, rng: np.random.RandomState
) -> np.ndarray:
    """Colours [M, 3] along the butt: wrapper, ring, paper, scorch, ash, filter end; then dirt."""
    noise = outline.noise
    along = outline.along / butt.length + 0.012 * noise
    in_filter = _step(butt.filter_part - along, 0.015)
    tone = 1 + rng.normal(0, 0.05 if butt.is_cork else 0.015, 3)
    colour = np.tile(_bgr(WHITE) * _bgr(1 + rng.normal(0, 0.015, 3)), (len(along), 1))
    colour = _lay(colour, _bgr(CORK if butt.is_cork else WHITE) * _bgr(tone), in_filter)
    if butt.is_cork:
        colour = _lay(colour, _bgr(SCORCH), 0.35 * np.clip(speckle - 0.45, 0, 1) * in_filter)
    if butt.has_ring:
        ring = _step(0.018 - np.abs(along - butt.filter_part + 0.05), 0.008)
        colour = _lay(colour, _bgr(GOLD), ring)
    # Tar stains the paper before the scorched edge; then comes ash.
    from_ash = along - (1 - butt.ash_part)
    colour = _lay(colour, _bgr(STAIN), 0.55 * _step(from_ash + 0.14, 0.1))
    colour = _lay(colour, _bgr(SCORCH), _step(from_ash + 0.03 + 0.02 * noise, 0.04))
    ash = _bgr(ASH_DARK) + (_bgr(ASH_LIGHT) - _bgr(ASH_DARK)) * rng.uniform(0.1, 1)
    mottled = ash * (1 + 0.35 * np.clip(noise, -1, 1.5))[:, None]
    colour = _lay(colour, mottled, _step(from_ash - 0.02 + 0.03 * noise, 0.03))
    across = outline.across / (outline.half_width + 1e-6)
    on_end = 1 - (outline.along / (0.20 * butt.width)) ** 2 - across**2
    end = _bgr(WHITE) + (_bgr(STAIN) - _bgr(WHITE)) * rng.uniform(0.1, 1)
    colour = _lay(colour, end, 0.9 * _step(on_end, 0.35))
    return _lay(colour, _bgr(DIRT), np.clip(0.5 + noise, 0, 1) * butt.dirt * 0.6)


def _shading(butt: Butt, outline: Outline, light: Light) -> np.ndarray:
    """Lambert's law on a flattened cylinder [M], with creases across a crushed one."""
    roundness = 0.95 - 0.55 * butt.crush
    across = np.clip(outline.across / (outline.half_width + 1e-6), -1, 1) * roundness
    noise = outline.noise
    ripple = np.sin(outline.along / butt.width * 9 + 5 * noise + 2 * across)
    facing = math.cos(light.elevation) * np.sin(light.azimuth - outline.direction)
    high = math.sin(light.elevation)
    lambert = across * facing + np.sqrt(1 - across**2) * high + 0.175 * butt.crush * ripple * noise
    contact = 1 - 0.35 * np.clip(np.abs(across) - 0.6, 0, 1)
    return (light.ambient + (1 - light.ambient) * np.clip(lambert / high, 0, 1.6)) * contact


def _bgr(colour: tuple[float, float, float] | np.ndarray) -> np.ndarray:
    return np.asarray(colour, np.float32)


def _step(value: np.ndarray, softness: float) -> np.ndarray:
    """0 where value is well below 0, 1 well above, linear in between."""
    return np.clip(value / softness + 0.5, 0, 1)


def _lay(colour: np.ndarray, over: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Lay a colour over others [M, 3] with a share in 0..1 for each."""
    return colour + (over - colour) * share[:, None]
