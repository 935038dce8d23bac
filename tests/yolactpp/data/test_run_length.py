"""Run lengths against pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from yolactpp.data.run_length import draw_runs, parse_counts


@pytest.mark.parametrize("seed", range(40))
def test_drawing_equals_pycocotools(seed):
    rng = np.random.RandomState(seed)
    height, width = rng.randint(1, 250, 2)
    expected = (rng.uniform(size=(height, width)) < rng.choice([0, 0.02, 0.5, 1])).astype(np.uint8)
    if seed % 2:
        expected[: rng.randint(height + 1)] = 0
        expected[:, rng.randint(width + 1) :] = 0
    encoded = coco_mask.encode(np.asfortranarray(expected))
    mask = np.zeros((height, width), np.uint8)
    draw_runs(parse_counts(encoded["counts"]), mask)
    np.testing.assert_array_equal(mask, expected)


def test_counts_worked_by_hand():
    encoded = coco_mask.frPyObjects({"size": [10, 10], "counts": [5, 40, 7, 0, 48]}, 10, 10)
    assert parse_counts(encoded["counts"]).tolist() == [5, 40, 7, 0, 48]


def test_runs_that_touch_and_runs_of_nothing():
    mask = np.zeros((3, 4), np.uint8)
    draw_runs(np.array([2, 2, 0, 3, 1, 0, 4]), mask)
    np.testing.assert_array_equal(mask.T.ravel(), [0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("broken", [b"", b"~", b"\x00", b"o", b"0o", b"o" * 20 + b"0"])
def test_what_is_no_compressed_string(broken):
    assert parse_counts(broken) is None
