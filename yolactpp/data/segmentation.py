"""COCO segmentations: polygons, uncompressed and compressed run lengths, and what breaks them."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from yolactpp.data.run_length import draw_runs, parse_counts

Segmentation = list[list[float]] | dict[str, Any]


def decode_segmentation(segmentation: Segmentation, height: int, width: int) -> np.ndarray:
    """Rasterise one object's segmentation to a uint8 0/1 mask [height, width]."""
    mask = np.zeros((height, width), np.uint8)
    draw_segmentation(segmentation, mask)
    return mask


def draw_segmentation(segmentation: Segmentation, mask: np.ndarray) -> None:
    """Rasterise into a uint8 mask [height, width] of zeros; only the object's box is touched.

    Raises:
        ValueError: broken run lengths; `segmentation_fault` says how.
    """
    counts = _run_lengths(segmentation, *mask.shape)
    if counts is None or counts.sum() != mask.size:
        raise ValueError(f"broken segmentation for a mask of {mask.shape[1]} x {mask.shape[0]}")
    draw_runs(counts, mask)


def _run_lengths(segmentation: Segmentation, height: int, width: int) -> np.ndarray | None:
    if isinstance(segmentation, list):
        polygons = coco_mask.frPyObjects(segmentation, height, width)
        return parse_counts(coco_mask.merge(polygons)["counts"])
    counts = segmentation["counts"]
    if isinstance(counts, list):
        return np.array(counts, dtype=np.int64)
    return parse_counts(counts.encode() if isinstance(counts, str) else counts)


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
        parsed = parse_counts(counts.encode() if isinstance(counts, str) else counts)
        counts = None if parsed is None else parsed.tolist()
    if not isinstance(counts, list) or not all(_is_count(count) for count in counts):
        return "broken RLE: counts are neither run lengths nor their compressed string"
    if sum(counts) != height * width:
        return f"broken RLE: counts add up to {sum(counts)}, not to {height} * {width} pixels"
    if not sum(counts[1::2]):
        return "RLE holds no pixel of the object"
    return None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
