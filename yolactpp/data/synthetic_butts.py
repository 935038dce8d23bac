"""Synthetic cigarette butts on the ground, in the layout of the Cigarettes data set.

Every image depends on the seed, the split and its number alone, so any number of threads makes the
same files. Polygons trace what is visible of each butt in the rendered scene.
"""

from __future__ import annotations

import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask
from skimage.measure import find_contours

from yolactpp.data.butt import Butt, Light, Outline, colour_butt, draw_butt, outline_butt
from yolactpp.data.ground import GROUNDS, render_ground, smooth_noise
from yolactpp.data.loader import random_state

CATEGORY = {"id": 1, "name": "cig_butt", "supercategory": "litter"}
PLACEMENTS = 40
JPEG_QUALITY = 92
# Contours are simplified by at most this many pixels.
POLYGON_TOLERANCE_PX = 0.35


@dataclass(frozen=True)
class Scene:
    """An image, BGR uint8 [S, S, 3], and the visible mask of each butt, uint8 0/1 [n, S, S]."""

    image: np.ndarray
    masks: np.ndarray


@dataclass(frozen=True)
class SyntheticButts:
    """Settings of the generator; they decide every byte of the data set.

    Args:
        version: raised whenever the code below renders other pixels.
        seed: of all randomness.
        train_images, val_images: images of each split.
        image_size: side in pixels.
        supersample: rendering resolution over image_size.
        count_weights: relative frequency of 1, 2, ... butts an image.
        length: range of a butt's length relative to the image's side.
        aspect: range of a butt's length over its width.
        min_visible: share of a butt that later ones leave uncovered.
        min_visible_px: smallest visible area, pixels of the finished image.
        blur: largest standard deviation of the lens blur, pixels of the finished image.
        noise: largest standard deviation of the sensor noise, of 255.

    Raises:
        ValueError: a setting is out of range.
    """

    version: int = 1
    seed: int = 0
    train_images: int = 800
    val_images: int = 100
    image_size: int = 128
    supersample: int = 2
    count_weights: tuple[float, ...] = (5, 4, 3, 2, 1, 0.6, 0.3, 0.1)
    length: tuple[float, float] = (0.32, 0.6)
    aspect: tuple[float, float] = (2.0, 3.6)
    min_visible: float = 0.7
    min_visible_px: int = 40
    blur: float = 0.7
    noise: float = 7.0

    def __post_init__(self) -> None:
        if self.version != 1:
            raise ValueError(f"generator.version={self.version}: this release makes version 1")
        if min(self.train_images, self.val_images) < 1 or self.image_size < 32:
            raise ValueError(
                f"generator: train_images={self.train_images}, val_images={self.val_images}, "
                f"image_size={self.image_size}: expected at least 1, 1 and 32"
            )
        if not 0 < self.length[0] <= self.length[1] <= 1:
            raise ValueError(f"generator.length={self.length}: expected 0 < low <= high <= 1")

    def settings(self) -> dict[str, Any]:
        """All settings as JSON holds them."""
        return json.loads(json.dumps(asdict(self)))

    def make(self, folder: Path) -> None:
        """Write both splits: SPLIT/images/NNNNNNNN.jpg and SPLIT/coco_annotations.json."""
        for split, images in (("train", self.train_images), ("val", self.val_images)):
            (folder / split / "images").mkdir(parents=True)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                entries = list(
                    pool.map(
                        lambda number, split=split: self._make_image(folder, split, number),
                        range(images),
                    )
                )
            content = self._annotations(entries)
            (folder / split / "coco_annotations.json").write_text(json.dumps(content))

    def scene(self, split: str, number: int) -> Scene:
        """Render one image of a split."""
        rng = random_state(self.seed, self.version, {"train": 0, "val": 1}[split], number)
        size = self.image_size * self.supersample
        grain = size / 512
        canvas = render_ground(GROUNDS[rng.randint(len(GROUNDS))], size, grain, rng)
        light = Light(rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.3), rng.uniform(0.35, 0.65))
        placed, owner = self._place(rng)
        shadow_strength = rng.uniform(0.35, 0.75)
        for butt, outline in placed:
            _cast_shadow(canvas, outline, butt.width, light, shadow_strength)
            _paste(canvas, outline, colour_butt(butt, outline, light))
        image = self._photograph(canvas, rng)
        return Scene(image, self._masks(owner, len(placed)))

    def _place(self, rng: np.random.RandomState) -> tuple[list[tuple[Butt, Outline]], np.ndarray]:
        """Butts from the lowest to the topmost, none of them hidden too far by those above; and for
        each pixel of the rendering the number of the butt seen there, 0 for the ground.
        """
        weights = np.array(self.count_weights, np.float64)
        count = 1 + rng.choice(len(weights), p=weights / weights.sum())
        size = self.image_size * self.supersample
        scale = rng.uniform(*self.length)
        placed: list[tuple[Butt, Outline]] = []
        least: list[float] = []
        owner = np.zeros((size, size), np.uint8)
        for _ in range(PLACEMENTS):
            if len(placed) == count:
                break
            length = size * np.clip(scale * rng.uniform(0.85, 1.15), *self.length)
            butt = draw_butt(size, length, self.aspect, rng)
            outline = outline_butt(butt)
            wanted = max(
                self.min_visible * float((outline.alpha > 0.5).sum()),
                self.min_visible_px * self.supersample**2,
            )
            covered = owner.copy()
            _claim(covered, outline, len(placed) + 1)
            visible = np.bincount(covered.ravel(), minlength=len(placed) + 2)[1:]
            if (visible >= [*least, wanted]).all():
                placed.append((butt, outline))
                least.append(wanted)
                owner = covered
        return placed, owner

    def _photograph(self, canvas: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Uneven light, colour cast, lens blur, sensor noise."""
        size = canvas.shape[0]
        if rng.uniform() < 0.3:
            canvas = canvas * (1 - rng.uniform(0.2, 0.5) * _shade(size, rng))[:, :, None]
        exposure = rng.uniform(0.8, 1.25) * (1 + rng.normal(0, 0.04, 3))
        canvas = canvas * exposure.astype(np.float32)
        sides = (self.image_size, self.image_size)
        canvas = cv2.resize(canvas, sides, interpolation=cv2.INTER_AREA)
        blur = rng.uniform(0, self.blur)
        if blur > 0.2:
            canvas = cv2.GaussianBlur(canvas, (0, 0), blur)
        noise = rng.standard_normal(canvas.shape).astype(np.float32) * rng.uniform(0, self.noise)
        return np.clip(255 * canvas + noise, 0, 255).astype(np.uint8)

    def _masks(self, owner: np.ndarray, count: int) -> np.ndarray:
        """Masks at the finished image's size: pixels at least half covered."""
        sides = (self.image_size, self.image_size)
        shares = [
            cv2.resize((owner == number).astype(np.float32), sides, interpolation=cv2.INTER_AREA)
            for number in range(1, count + 1)
        ]
        return (np.stack(shares) > 0.5).astype(np.uint8)

    def _make_image(self, folder: Path, split: str, number: int) -> tuple[str, np.ndarray]:
        scene = self.scene(split, number)
        name = f"{number:08d}.jpg"
        path = folder / split / "images" / name
        _, encoded = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        path.write_bytes(encoded.tobytes())
        return name, np.packbits(scene.masks, axis=-1)

    def _annotations(self, entries: list[tuple[str, np.ndarray]]) -> dict[str, Any]:
        size = self.image_size
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, (name, packed) in enumerate(entries):
            images.append({"id": number, "file_name": name, "width": size, "height": size})
            for mask in np.unpackbits(packed, axis=-1, count=size):
                polygons = mask_to_polygons(mask)
                encoded = coco_mask.merge(coco_mask.frPyObjects(polygons, size, size))
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": CATEGORY["id"],
                        "iscrowd": 0,
                        "area": float(coco_mask.area(encoded)),
                        "bbox": [float(side) for side in coco_mask.toBbox(encoded)],
                        "segmentation": polygons,
                    }
                )
        info = {"description": "Synthetic cigarette butts", "generator": self.settings()}
        return {
            "info": info,
            "images": images,
            "annotations": annotations,
            "categories": [CATEGORY],
        }


def mask_to_polygons(mask: np.ndarray) -> list[list[float]]:
    """Trace a uint8 0/1 mask [H, W] as COCO polygons x, y, x, y, ...; holes are not kept."""
    polygons = []
    for contour in find_contours(np.pad(mask, 1).astype(np.float32), 0.5):
        if _signed_area(contour) <= 0:
            continue
        points = np.ascontiguousarray(contour[:-1, ::-1], dtype=np.float32)
        simple = cv2.approxPolyDP(points, POLYGON_TOLERANCE_PX, closed=True)
        # Undo the padding; COCO's pixel i spans i..i+1 while contours count from its middle.
        if len(simple) >= 3:
            polygons.append([round(float(value), 2) for value in simple.ravel() - 0.5])
    return polygons


def _signed_area(contour: np.ndarray) -> float:
    """Positive for outlines, negative for holes, as find_contours orients them."""
    y, x = contour.T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def _overlap(
    scene: np.ndarray, outline: Outline
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where scene and patch overlap, as indices of each."""
    height, width = outline.alpha.shape
    y1, x1 = max(0, outline.top), max(0, outline.left)
    y2 = max(y1, min(scene.shape[0], outline.top + height))
    x2 = max(x1, min(scene.shape[1], outline.left + width))
    inside = slice(y1 - outline.top, y2 - outline.top), slice(x1 - outline.left, x2 - outline.left)
    return (slice(y1, y2), slice(x1, x2)), inside


def _claim(owner: np.ndarray, outline: Outline, number: int) -> None:
    """Mark what a butt covers."""
    target, source = _overlap(owner, outline)
    owner[target][outline.alpha[source] > 0.5] = number


def _paste(canvas: np.ndarray, outline: Outline, colour: np.ndarray) -> None:
    target, source = _overlap(canvas, outline)
    alpha = outline.alpha[source][:, :, None]
    canvas[target] += (colour[source] - canvas[target]) * alpha


def _cast_shadow(
    canvas: np.ndarray, outline: Outline, width: float, light: Light, strength: float
) -> None:
    """Darken what lies beneath: a sharp shadow away from the light and a soft one all round."""
    reach = 0.4 * width / math.tan(light.elevation)
    dx, dy = -math.cos(light.azimuth) * reach, -math.sin(light.azimuth) * reach
    move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    height, patch_width = outline.alpha.shape
    cast = cv2.warpAffine(outline.alpha, move, (patch_width, height))
    cast = cv2.GaussianBlur(cast, (0, 0), 0.07 * width + 0.4)
    contact = cv2.GaussianBlur(outline.alpha, (0, 0), 0.22 * width + 0.4)
    dark = 1 - np.clip(strength * np.maximum(cast, 0.6 * contact), 0, 0.85)
    target, source = _overlap(canvas, outline)
    canvas[target] *= dark[source][:, :, None]


def _shade(size: int, rng: np.random.RandomState) -> np.ndarray:
    """The soft, wavy edge of a large shadow: 0 in the light, 1 in the shade."""
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(-0.25, 0.25)
    y, x = (np.mgrid[:size, :size] / size - 0.5).astype(np.float32)
    depth = x * np.cos(angle) + y * np.sin(angle) - reach + 0.04 * smooth_noise(size, 7, rng)
    return 1 / (1 + np.exp(-rng.uniform(15, 60) * depth))
