"""COCO segmentations: polygons, uncompressed and compressed run lengths, and what breaks them."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

Segmentation = list[list[float]] | dict[str, Any]


def decode_segmentation(segmentation: Segmentation, height: int, width: int) -> np.ndarray:
    """Rasterise one object's segmentation to a uint8 0/1 mask [height, width]."""
    mask = np.zeros((height, width), np.uint8)
    draw_segmentation(segmentation, mask)
    return mask


def draw_segmentation(segmentation: Segmentation, mask: np.ndarray) -> None:
    """Rasterise into a uint8 mask [height, width] of zeros; only the object's box is touched."""
    encoded = encode_segmentation(segmentation, *mask.shape)
    x, y, width, height = (int(side) for side in coco_mask.toBbox(encoded))
    inside = slice(y, y + height), slice(x, x + width)
    mask[inside] = coco_mask.decode(encoded)[inside]


def encode_segmentation(segmentation: Segmentation, height: int, width: int) -> dict[str, Any]:
    """One object's segmentation as COCO's compressed run lengths."""
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, height, width)
    return segmentation


def segmentation_fault(segmentation: Any, height: int, width: int) -> str | None:
    """What makes a segmentation unusable for an image of this size, or None if it is sound."""
    if isinstance(segmentation, dict):
        return _run_length_fault(segmentation, height, width)
    if not isinstance(segmentation, list) or not segmentation:
        return f"no segmentation ({segmentation!r}); masks are needed, not boxes alone"
    for polygon in segmentation:
        if fault := _polygon_fault(polygon, height, width):
            return fault
    return None


def _polygon_fault(polygon: Any, height: int, width: int) -> str | None:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        length = len(polygon) if isinstance(polygon, list) else repr(polygon)
        return f"broken polygon: an even count of at least 6 coordinates expected, got {length}"
    try:
        points = np.array(polygon)
    except ValueError:
        points = np.array(None)
    if points.dtype.kind not in "fi" or points.ndim != 1 or not np.isfinite(points).all():
        return "broken polygon: a coordinate is not a finite number"
    x, y = points[0::2], points[1::2]
    if x.max() <= 0 or y.max() <= 0 or x.min() >= width or y.min() >= height:
        return f"polygon lies outside the {width} x {height} image"
    return None


def _run_length_fault(segmentation: dict[str, Any], height: int, width: int) -> str | None:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        return f"RLE size {size} differs from the image's [height, width] [{height}, {width}]"
    if isinstance(counts, str | bytes):
        counts = _parse_counts(counts.encode() if isinstance(counts, str) else counts)
    if not isinstance(counts, list) or not all(_is_count(count) for count in counts):
        return "broken RLE: counts are neither run lengths nor their compressed string"
    if sum(counts) != height * width:
        return f"broken RLE: counts add up to {sum(counts)}, not to {height} * {width} pixels"
    if not sum(counts[1::2]):
        return "RLE holds no pixel of the object"
    return None


def _parse_counts(compressed: bytes) -> list[int] | None:
    """Run lengths of COCO's compressed string: 5 bits a character, each from the third relative
    to the one two before; None where the string is not one. pycocotools does not check.
    """
    counts: list[int] = []
    position = 0
    while position < len(compressed):
        value, shift, more = 0, 0, True
        while more:
            if position >= len(compressed) or not 48 <= compressed[position] < 112:
                return None
            character = compressed[position] - 48
            value |= (character & 31) << shift
            more = bool(character & 32)
            position, shift = position + 1, shift + 5
            if not more and character & 16:
                value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
