"""Expansion and random crop as a view: which rectangle of the plane around the image is seen.

Both steps move only a rectangle and the boxes; pixels are copied once, at the end, from what is in
view. An expanded canvas of 4 x 4 times the image is never built.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

CROP_MIN_IOUS = (None, 0.1, 0.3, 0.7, 0.9, 0.0)
CROP_TRIALS = 50
LARGEST_ASPECT = 2.0


@dataclass(frozen=True)
class View:
    """A rectangle in the source image's pixels; it may reach outside the image."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class CropRule:
    """How a random crop is drawn.

    Args:
        options: how many of (none, IoU .1, .3, .7, .9, any) are drawn from; protocol.crop_options.
        enforce_iou: whether a minimum-IoU option asks that the crop's IoU with some box reaches it;
            protocol.crop_enforces_iou.
        corner_uniform: whether the corner is drawn from 0 on; protocol.crop_corner_uniform.
        min_side: smallest side of the crop, relative to the image's.
    """

    options: int = 6
    enforce_iou: bool = True
    corner_uniform: bool = True
    min_side: float = 0.3


def draw_expansion(view: View, max_ratio: float, rng: np.random.RandomState) -> View:
    """Zoom out: the image at a random place of a canvas up to `max_ratio` times its sides."""
    ratio = rng.uniform(1, max_ratio)
    left = rng.uniform(0, view.width * ratio - view.width)
    top = rng.uniform(0, view.height * ratio - view.height)
    return View(
        view.left - int(left),
        view.top - int(top),
        int(view.width * ratio),
        int(view.height * ratio),
    )


def draw_crop(
    view: View,
    boxes_xyxy: np.ndarray,
    labels: np.ndarray,
    rule: CropRule,
    rng: np.random.RandomState,
) -> tuple[View, np.ndarray]:
    """SSD's random crop of what is in view.

    Args:
        view: what is seen so far.
        boxes_xyxy: float64 [n, 4], pixels of the source image.
        labels: int64 [n], negative for crowds.
        rule: how to draw.
        rng: source of randomness.

    Returns:
        The crop, and the indices of the boxes whose centre lies inside; all where nothing is cut.
    """
    everything = np.arange(len(labels))
    boxes = boxes_xyxy - np.array([view.left, view.top, view.left, view.top])
    reachable = _largest_iou(view, boxes, labels, rule.min_side)
    while True:
        min_iou = CROP_MIN_IOUS[rng.randint(rule.options)]
        if min_iou is None:
            return view, everything
        if rule.enforce_iou and min_iou > reachable:
            continue
        for _ in range(CROP_TRIALS):
            rectangle = _draw_rectangle(view, rule, rng)
            if rectangle is None:
                continue
            kept = _centres_inside(boxes, rectangle)
            objects = kept[labels[kept] >= 0]
            if len(labels) and not len(objects):
                continue
            if rule.enforce_iou and min_iou > 0 and _iou(boxes[objects], rectangle).max() < min_iou:
                continue
            x1, y1, x2, y2 = rectangle
            return View(view.left + x1, view.top + y1, x2 - x1, y2 - y1), kept


def shift_and_clip(boxes_xyxy: np.ndarray, view: View) -> np.ndarray:
    """Boxes in the view's own pixels, cut at its edges."""
    shifted = boxes_xyxy - np.array([view.left, view.top, view.left, view.top])
    return np.clip(shifted, 0, [view.width, view.height, view.width, view.height])


def take_view(pixels: np.ndarray, view: View, fill: tuple[float, float, float]) -> np.ndarray:
    """Copy an image [H, W, 3] or mask [H, W] into a view, `fill` where it shows no pixel."""
    inner, (top, bottom, left, right) = visible_part(pixels, view)
    if not (top or bottom or left or right):
        return inner
    return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT, value=fill)


def visible_part(pixels: np.ndarray, view: View) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """The image's part in view, and the margins around it: top, bottom, left, right."""
    height, width = pixels.shape[:2]
    x1, x2 = np.clip([view.left, view.left + view.width], 0, width)
    y1, y2 = np.clip([view.top, view.top + view.height], 0, height)
    top = min(max(0, -view.top), view.height)
    left = min(max(0, -view.left), view.width)
    margins = (top, view.height - top - int(y2 - y1), left, view.width - left - int(x2 - x1))
    return pixels[y1:y2, x1:x2], margins


def _draw_rectangle(
    view: View, rule: CropRule, rng: np.random.RandomState
) -> tuple[int, int, int, int] | None:
    """x1, y1, x2, y2 inside the view, or None where the draw is refused for its shape."""
    width = rng.uniform(rule.min_side * view.width, view.width)
    height = rng.uniform(rule.min_side * view.height, view.height)
    if not 1 / LARGEST_ASPECT <= height / width <= LARGEST_ASPECT:
        return None
    room_x, room_y = view.width - width, view.height - height
    if rule.corner_uniform:
        left, top = rng.uniform(0, room_x), rng.uniform(0, room_y)
    else:
        # NumPy's uniform(a) draws between a and 1: the original's corner is never 0.
        left, top = rng.uniform(room_x), rng.uniform(room_y)
    rectangle = int(left), int(top), int(left + width), int(top + height)
    is_empty = rectangle[0] >= rectangle[2] or rectangle[1] >= rectangle[3]
    return None if is_empty else rectangle


def _centres_inside(boxes: np.ndarray, rectangle: tuple[int, int, int, int]) -> np.ndarray:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = (centres > rectangle[:2]) & (centres < rectangle[2:])
    return np.flatnonzero(inside.all(axis=1))


def _iou(boxes: np.ndarray, rectangle: tuple[int, int, int, int]) -> np.ndarray:
    """IoU of boxes [n, 4] with one rectangle."""
    sides = np.minimum(boxes[:, 2:], rectangle[2:]) - np.maximum(boxes[:, :2], rectangle[:2])
    overlap = sides.clip(min=0).prod(axis=1)
    area = (rectangle[2] - rectangle[0]) * (rectangle[3] - rectangle[1])
    return overlap / ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + area - overlap)


def _largest_iou(view: View, boxes: np.ndarray, labels: np.ndarray, min_side: float) -> float:
    """No crop can reach more than this; spares small-object sets thousands of vain trials."""
    if not (labels >= 0).any():
        return 0.0
    largest = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1).max()
    smallest_crop = max(1.0, min_side**2 * view.width * view.height - view.width - view.height)
    return min(1.0, largest / smallest_crop)
