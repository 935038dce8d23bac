"""Expansion and crop as views, against doing the same to whole arrays."""

import numpy as np
import pytest

from yolactpp.data.orient import orient, orient_boxes
from yolactpp.data.view import CropRule, View, draw_crop, draw_expansion, shift_and_clip, take_view

BOXES = np.array([[4.0, 6.0, 20.0, 30.0], [30.0, 10.0, 50.0, 36.0]])
LABELS = np.array([0, 1])


def canvas_of(image: np.ndarray, view: View, fill: float) -> np.ndarray:
    """The view of an image, pixel by pixel."""
    out = np.full((view.height, view.width), fill, image.dtype)
    for y in range(view.height):
        for x in range(view.width):
            row, column = y + view.top, x + view.left
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                out[y, x] = image[row, column]
    return out


@pytest.mark.parametrize(
    "view",
    [
        View(0, 0, 7, 5),
        View(2, 1, 3, 3),
        View(-3, -2, 15, 12),
        View(-4, 2, 6, 20),
        View(9, 9, 4, 4),
        View(-9, -9, 4, 4),
        View(-5, 1, 3, 2),
    ],
)
def test_take_view_worked_pixel_by_pixel(view):
    image = np.arange(35, dtype=np.float32).reshape(5, 7)
    np.testing.assert_array_equal(take_view(image, view, (99, 0, 0)), canvas_of(image, view, 99))


@pytest.mark.parametrize("seed", range(20))
def test_expansion_holds_the_whole_image(seed):
    view = draw_expansion(View(0, 0, 60, 40), 3.0, np.random.RandomState(seed))
    assert -120 <= view.left <= 0
    assert -80 <= view.top <= 0
    assert view.left + view.width >= 60
    assert view.top + view.height >= 40
    assert view.width <= 180


@pytest.mark.parametrize("rule", [CropRule(), CropRule(5, False, False), CropRule(min_side=0.8)])
def test_crops_keep_the_promises_of_their_rule(rule):
    start = View(0, 0, 60, 40)
    for seed in range(100):
        view, kept = draw_crop(start, BOXES, LABELS, rule, np.random.RandomState(seed))
        if view == start:
            assert len(kept) == 2
            continue
        assert 0 <= view.left <= view.left + view.width <= 60
        assert 0 <= view.top <= view.top + view.height <= 40
        assert view.width >= int(rule.min_side * 60) - 1
        assert len(kept) > 0
        centres = (BOXES[:, :2] + BOXES[:, 2:]) / 2 - [view.left, view.top]
        inside = ((centres > 0) & (centres < [view.width, view.height])).all(axis=1)
        np.testing.assert_array_equal(np.flatnonzero(inside), kept)


def test_the_originals_corner_is_never_zero_and_ours_is():
    start, boxes = View(0, 0, 60, 40), np.array([[2.0, 2.0, 58.0, 38.0]])

    def corners(rule):
        draws = [
            draw_crop(start, boxes, LABELS[:1], rule, np.random.RandomState(s)) for s in range(200)
        ]
        return [view.left for view, _ in draws if view != start and view.width < 58]

    assert min(corners(CropRule(6, False, True))) == 0
    assert min(corners(CropRule(6, False, False))) >= 1


def test_enforced_overlap_cuts_fewer_objects_off():
    """What protocol.crop_enforces_iou changes: option .9 alone must reach it."""
    start, boxes = View(0, 0, 60, 40), np.array([[5.0, 5.0, 50.0, 38.0]])

    def worst(enforce):
        found = []
        for seed in range(12):
            rng = _OnlyOption(4, seed)
            view, _ = draw_crop(start, boxes, LABELS[:1], CropRule(6, enforce), rng)
            inside = shift_and_clip(boxes, view)
            overlap = (inside[0, 2:] - inside[0, :2]).prod()
            union = view.width * view.height + 45 * 33 - overlap
            found.append(overlap / union)
        return min(found)

    assert worst(True) >= 0.9
    assert worst(False) < 0.6


class _OnlyOption(np.random.RandomState):
    """Draws one option of the crop always."""

    def __init__(self, option: int, seed: int) -> None:
        super().__init__(seed)
        self.option = option

    def randint(self, *_args, **_kwargs):
        return self.option


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("size", "boxes", "labels"),
    [
        ((1, 1), np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([0])),
        ((1000, 1), np.array([[0.0, 0.0, 10.0, 1.0]]), np.array([0])),
        ((300, 300), np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([-1])),
        ((300, 300), np.zeros((0, 4)), np.zeros(0, np.int64)),
        ((300, 300), np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([0])),
    ],
    ids=["one pixel", "a line", "only a crowd", "no object", "a tiny object"],
)
def test_hopeless_images_end(size, boxes, labels):
    for seed in range(30):
        view, _ = draw_crop(
            View(0, 0, *size), boxes, labels, CropRule(), np.random.RandomState(seed)
        )
        assert view.width >= 1
        assert view.height >= 1


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_boxes_follow_pixels(mirrored, flipped, turns):
    view = View(0, 0, 9, 6)
    image = np.zeros((6, 9), np.uint8)
    image[1:3, 4:8] = 1
    turned = orient(image, mirrored, flipped, turns)
    box = orient_boxes(np.array([[4.0, 1.0, 8.0, 3.0]]), view, mirrored, flipped, turns)
    x1, y1, x2, y2 = box[0].astype(int)
    assert turned.sum() == 8
    assert turned[y1:y2, x1:x2].sum() == 8
