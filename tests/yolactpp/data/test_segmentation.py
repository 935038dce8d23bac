"""Polygons and run lengths to masks, and the faults that pycocotools would not report."""

import re

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from yolactpp.data.segmentation import decode_segmentation, segmentation_fault

SQUARE = [[1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0]]


def compressed(mask: np.ndarray) -> dict:
    encoded = coco_mask.encode(np.asfortranarray(mask))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def test_polygon_worked_by_hand():
    expected = np.zeros((5, 6), np.uint8)
    expected[1:3, 1:4] = 1
    np.testing.assert_array_equal(decode_segmentation(SQUARE, 5, 6), expected)


def test_polygons_of_one_object_are_joined():
    parts = [*SQUARE, [4.0, 3.0, 6.0, 3.0, 6.0, 5.0, 4.0, 5.0]]
    assert decode_segmentation(parts, 5, 6).sum() == 6 + 4


def test_run_lengths_count_down_the_columns():
    mask = decode_segmentation({"size": [3, 2], "counts": [1, 3, 2]}, 3, 2)
    np.testing.assert_array_equal(mask, [[0, 1], [1, 0], [1, 0]])


@pytest.mark.parametrize("seed", range(5))
def test_sound_masks_have_no_fault_and_survive(seed):
    rng = np.random.RandomState(seed)
    height, width = rng.randint(1, 300, 2)
    mask = (rng.uniform(size=(height, width)) < rng.uniform(0.01, 1)).astype(np.uint8)
    mask[0, 0] = 1
    assert segmentation_fault(compressed(mask), height, width) is None
    np.testing.assert_array_equal(decode_segmentation(compressed(mask), height, width), mask)


@pytest.mark.parametrize(
    ("segmentation", "fault"),
    [
        (None, "no segmentation"),
        ([], "no segmentation"),
        ("abc", "no segmentation"),
        ([[1, 1, 2, 2]], "at least 6 coordinates expected, got 4"),
        ([[1, 1, 2, 2, 3, 3, 4]], "got 7"),
        ([[1, 1, 2, "2", 3, 3]], "not a finite number"),
        ([[1, 1, 2, [2], 3, 3]], "not a finite number"),
        ([[1, 1, 2, float("nan"), 3, 3]], "not a finite number"),
        ([[10, 1, 12, 1, 12, 3]], "outside the 6 x 5 image"),
        ([[-3, 1, -1, 1, -1, 3]], "outside"),
        ({"size": [6, 5], "counts": [30]}, r"RLE size \[6, 5\] differs"),
        ({"size": [5, 6], "counts": [3, 4]}, "add up to 7, not to 5"),
        ({"size": [5, 6], "counts": [30]}, "no pixel"),
        ({"size": [5, 6], "counts": [35, -5]}, "neither run lengths"),
        ({"size": [5, 6], "counts": "~~~"}, "neither run lengths"),
        ({"size": [5, 6], "counts": "oo"}, "neither run lengths"),
        ({"size": [5, 6]}, "neither run lengths"),
    ],
)
def test_faults(segmentation, fault):
    assert re.search(fault, segmentation_fault(segmentation, 5, 6) or "")
