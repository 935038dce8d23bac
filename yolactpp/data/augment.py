"""The training transform: distortion, expansion, crop, mirrors, resize; YOLACT's order and draws.

All draws are made first, from boxes alone; then the pixels in view are distorted, mirrored and
resized once. That gives the original's numbers (tests: golden) at a fraction of its cost.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from yolactpp.data.coco import Sample
from yolactpp.data.orient import orient, orient_boxes
from yolactpp.data.photometric import distort, draw_distortion
from yolactpp.data.plan import Plan
from yolactpp.data.resize import (
    normalise,
    resize_image,
    resize_mask,
    resize_on_canvas,
    without_small_boxes,
)
from yolactpp.data.unrendered import UnrenderedImages
from yolactpp.data.view import (
    CROP_MIN_IOUS,
    CropRule,
    View,
    draw_crop,
    draw_expansion,
    shift_and_clip,
    visible_part,
)

# Boxes [n, 4] relative float32, labels [n] int64, masks [n, S, S] uint8; crowds last.
Truth = tuple[Tensor, Tensor, Tensor]
TrainItem = tuple[Tensor, Tensor, Tensor, Tensor]
UnrenderedItem = tuple[UnrenderedImages, Tensor, Tensor, Tensor]


class TrainTransform:
    """SSD's augmentation as YOLACT uses it; every piece can be switched.

    Args:
        image_size: side S of the network's input, pixels.
        photometric: whether brightness, contrast, saturation and hue are distorted.
        expand_probability: probability of zooming out onto a canvas of the mean colour.
        expand_max_ratio: largest ratio of the canvas' sides to the image's.
        crop: whether a part of the view is cut out.
        crop_min_side: smallest side of the crop relative to the view's, in (0, 1].
        crop_options: how many of the crop's six options are drawn from.
        crop_enforces_iou: whether its minimum-IoU options act.
        crop_corner_uniform: whether its corner is drawn uniformly from 0.
        mirror_probability: probability of a left-right mirror.
        flip_probability: probability of an upside-down flip.
        rotate_probability: probability of a turn by 90, 180 or 270 degrees.
        min_box_side: boxes whose width or height is at most this many pixels (at size S) go.
        redraw_empty_images: whether the loader replaces an image that lost all boxes by another.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        image_size: int,
        *,
        photometric: bool = True,
        expand_probability: float = 0.5,
        expand_max_ratio: float = 4.0,
        crop: bool = True,
        crop_min_side: float = 0.3,
        crop_options: int = 6,
        crop_enforces_iou: bool = True,
        crop_corner_uniform: bool = True,
        mirror_probability: float = 0.5,
        flip_probability: float = 0.0,
        rotate_probability: float = 0.0,
        min_box_side: float = 0.0,
        redraw_empty_images: bool = False,
    ) -> None:
        _check_range("image_size", image_size, 1, np.inf)
        _check_range("expand_max_ratio", expand_max_ratio, 1, 16)
        _check_range("crop_min_side", crop_min_side, 0.01, 1)
        _check_range("crop_options", crop_options, 1, len(CROP_MIN_IOUS))
        for name, probability in (
            ("expand_probability", expand_probability),
            ("mirror_probability", mirror_probability),
            ("flip_probability", flip_probability),
            ("rotate_probability", rotate_probability),
        ):
            _check_range(name, probability, 0, 1)
        self.image_size = image_size
        self.photometric = photometric
        self.expand_probability = expand_probability
        self.expand_max_ratio = expand_max_ratio
        self.crop_rule = (
            CropRule(crop_options, crop_enforces_iou, crop_corner_uniform, crop_min_side)
            if crop
            else None
        )
        self.mirror_probability = mirror_probability
        self.flip_probability = flip_probability
        self.rotate_probability = rotate_probability
        self.min_box_side = min_box_side
        self.redraw_empty_images = redraw_empty_images

    def __call__(self, sample: Sample, rng: np.random.RandomState) -> TrainItem:
        """One augmented training item; the random stream is consumed as by the original.

        Args:
            sample: image and objects as on disk; left unchanged.
            rng: the only source of randomness.

        Returns:
            image [3, S, S] normalised RGB float32, then its `Truth`.
        """
        plan, truth = self._draw(sample, rng)
        return (normalise(self._image(sample.image_bgr, plan)), *truth)

    def unrendered(self, sample: Sample, rng: np.random.RandomState) -> UnrenderedItem:
        """The same item from the same draws, its image left to yolactpp.data.rendering."""
        plan, truth = self._draw(sample, rng)
        return (UnrenderedImages.of(sample.image_bgr, plan, self.image_size), *truth)

    def _draw(self, sample: Sample, rng: np.random.RandomState) -> tuple[Plan, Truth]:
        """All draws, in the original's order, and what they make of the objects."""
        height, width = sample.image_bgr.shape[:2]
        view, kept = View(0, 0, width, height), np.arange(len(sample.labels))
        distortion = draw_distortion(rng) if self.photometric else None
        if not _coin(rng, 1 - self.expand_probability):
            view = draw_expansion(view, self.expand_max_ratio, rng)
        if self.crop_rule is not None:
            view, kept = draw_crop(view, sample.boxes_xyxy, sample.labels, self.crop_rule, rng)
        mirrored = _coin(rng, self.mirror_probability)
        flipped = _coin(rng, self.flip_probability)
        turns = rng.randint(1, 4) if _coin(rng, self.rotate_probability) else 0

        plan = Plan(view, distortion, mirrored, flipped, turns)
        boxes = shift_and_clip(sample.boxes_xyxy[kept], view)
        boxes = orient_boxes(boxes, view, *plan.orientation)
        boxes = boxes * (self.image_size / np.array(plan.sides_hw[::-1] * 2))
        solid = without_small_boxes(boxes, self.min_box_side)
        boxes, kept = boxes[solid], kept[solid]
        truth = (
            torch.from_numpy((boxes / self.image_size).astype(np.float32)),
            torch.from_numpy(sample.labels[kept]),
            torch.from_numpy(self._masks(sample.masks, kept, plan)),
        )
        return plan, truth

    def _image(self, image_bgr: np.ndarray, plan: Plan) -> np.ndarray:
        """What is in view, distorted, on the mean colour, resized: BGR float32 [S, S, 3]."""
        view = plan.view
        seen, (top, bottom, left, right) = visible_part(image_bgr, view)
        seen = seen.astype(np.float32)
        if plan.distortion is not None and seen.size:
            seen = distort(seen, plan.distortion)
        seen = orient(seen, *plan.orientation)
        if not (top or bottom or left or right):
            return resize_image(seen, self.image_size)
        place = np.array([[left, top, view.width - right, view.height - bottom]])
        x, y, _, _ = orient_boxes(place, view, *plan.orientation)[0]
        return resize_on_canvas(seen, (y, x), plan.sides_hw, self.image_size)

    def _masks(self, sources: np.ndarray, kept: np.ndarray, plan: Plan) -> np.ndarray:
        """The kept masks in view, resized: uint8 [n, S, S].

        Only an object's own block is pasted on a canvas that all share, and cleared again: an image
        of hundreds of small objects costs hundreds of resizes, not of full-size copies.
        """
        masks = np.zeros((len(kept), self.image_size, self.image_size), np.uint8)
        view = plan.view
        canvas = np.zeros(plan.sides_hw, np.uint8)
        for mask, source in zip(masks, kept, strict=True):
            left, top, width, height = cv2.boundingRect(sources[source])
            corners = np.array([[left, top, left + width, top + height]])
            inside = shift_and_clip(corners, view)
            x1, y1, x2, y2 = inside[0] + [view.left, view.top, view.left, view.top]
            if x1 >= x2 or y1 >= y2:
                continue
            block = orient(sources[source][y1:y2, x1:x2], *plan.orientation)
            x1, y1, x2, y2 = orient_boxes(inside, view, *plan.orientation)[0]
            canvas[y1:y2, x1:x2] = block
            resize_mask(canvas, mask)
            canvas[y1:y2, x1:x2] = 0
        return masks


def _coin(rng: np.random.RandomState, probability: float) -> bool:
    """True with a probability; 0 and 1 draw nothing, 1/2 draws as the original does."""
    if probability in (0, 1):
        return bool(probability)
    if probability == 0.5:
        return bool(rng.randint(2))
    return bool(rng.uniform() < probability)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"augmentation.{name}={value}: expected a value in [{low:g}, {high:g}]")
