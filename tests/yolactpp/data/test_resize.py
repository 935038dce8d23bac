"""Resizing without building the canvas, against building it."""

import numpy as np
import pytest

from yolactpp.data.resize import MEAN_BGR, resize_image, resize_on_canvas, without_small_boxes


@pytest.mark.parametrize("seed", range(30))
def test_canvas_need_not_be_built(seed):
    rng = np.random.RandomState(seed)
    height, width = rng.randint(1, 40, 2)
    top, bottom, left, right = rng.randint(0, 90, 4)
    image = rng.uniform(-50, 300, (height, width, 3)).astype(np.float32)
    canvas = np.empty((top + height + bottom, left + width + right, 3), np.float32)
    canvas[:] = MEAN_BGR
    canvas[top : top + height, left : left + width] = image
    size = rng.randint(1, 120)
    ours = resize_on_canvas(image, (top, left), canvas.shape[:2], size)
    np.testing.assert_allclose(ours, resize_image(canvas, size), atol=2e-3)


def test_boxes_at_the_limit_go():
    boxes = np.array([[0, 0, 2.0, 9], [0, 0, 2.1, 2.1], [5, 5, 5, 5]])
    assert without_small_boxes(boxes, 2.0).tolist() == [1]
