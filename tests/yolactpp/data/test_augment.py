"""The training transform beyond parity: ranges, empty images, options, many objects."""

import numpy as np
import pytest
import torch

from yolactpp.data.augment import TrainTransform
from yolactpp.data.coco import Sample
from yolactpp.data.resize import EvalTransform

NOTHING = {"photometric": False, "expand_probability": 0, "crop": False, "mirror_probability": 0}


def make_sample(objects: int, height: int = 40, width: int = 60, seed: int = 0) -> Sample:
    rng = np.random.RandomState(seed)
    corners = rng.uniform(0, 0.7, (objects, 2)) * [width, height]
    boxes = np.concatenate([corners, corners + rng.uniform(4, 10, (objects, 2))], axis=1).round()
    masks = np.zeros((objects, height, width), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = 1
    image = rng.randint(0, 256, (height, width, 3), np.uint8)
    return Sample(image, boxes, np.arange(objects) % 3, masks, 1)


def test_nothing_but_resize_and_normalise():
    sample = make_sample(3)
    image, boxes, labels, masks = TrainTransform(32, **NOTHING)(sample, np.random.RandomState(0))
    torch.testing.assert_close(image, EvalTransform(32)(sample.image_bgr))
    np.testing.assert_allclose(boxes, sample.boxes_xyxy / [60, 40, 60, 40], rtol=1e-6)
    np.testing.assert_array_equal(labels, sample.labels)
    assert masks.dtype == torch.uint8


def test_normalisation_worked_by_hand():
    image = EvalTransform(2)(np.full((3, 5, 3), (10, 20, 30), np.uint8))
    blue, green, red = (10 - 103.94) / 57.38, (20 - 116.78) / 57.12, (30 - 123.68) / 58.40
    np.testing.assert_allclose(image[:, 0, 0], [red, green, blue], rtol=1e-6)


def test_no_option_draws_nothing_at_all():
    rng = np.random.RandomState(3)
    TrainTransform(32, **NOTHING)(make_sample(2), rng)
    assert rng.uniform() == np.random.RandomState(3).uniform()


@pytest.mark.parametrize("seed", range(30))
def test_outputs_are_in_range_and_belong_together(seed):
    transform = TrainTransform(48, flip_probability=0.5, rotate_probability=0.5)
    image, boxes, labels, masks = transform(make_sample(6, seed=seed), np.random.RandomState(seed))
    assert image.shape == (3, 48, 48)
    assert image.dtype == torch.float32
    assert len(boxes) == len(labels) == len(masks) > 0
    assert masks.shape[1:] == (48, 48)
    assert masks.max() <= 1
    assert (boxes >= 0).all()
    assert (boxes <= 1).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    for box, mask in zip(boxes * 48, masks, strict=True):
        rows, columns = torch.nonzero(mask, as_tuple=True)
        if len(rows):
            assert columns.min() >= box[0] - 2
            assert columns.max() <= box[2] + 2
            assert rows.min() >= box[1] - 2
            assert rows.max() <= box[3] + 2


@pytest.mark.parametrize("objects", [0, 1, 300])
def test_any_number_of_objects(objects):
    """OpenCV alone refuses more than 128 masks at once."""
    image, boxes, _, masks = TrainTransform(32)(make_sample(objects), np.random.RandomState(1))
    assert torch.isfinite(image).all()
    assert len(boxes) == len(masks) <= objects


def test_one_pixel_image():
    sample = make_sample(0, 1, 1)
    assert TrainTransform(16)(sample, np.random.RandomState(0))[0].shape == (3, 16, 16)


def test_sample_is_left_unchanged():
    sample, untouched = make_sample(4), make_sample(4)
    for seed in range(10):
        TrainTransform(32)(sample, np.random.RandomState(seed))
    np.testing.assert_array_equal(sample.image_bgr, untouched.image_bgr)
    np.testing.assert_array_equal(sample.masks, untouched.masks)
    np.testing.assert_array_equal(sample.boxes_xyxy, untouched.boxes_xyxy)


def test_expansion_shows_the_mean_colour():
    transform = TrainTransform(32, **NOTHING | {"expand_probability": 1}, expand_max_ratio=4)
    image, boxes, _, _ = transform(make_sample(1), np.random.RandomState(5))
    is_mean = (image.abs() < 1e-5).all(dim=0)
    assert is_mean.float().mean() > 0.2
    assert (boxes[:, 2:] - boxes[:, :2]).max() < 10 / 40


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("image_size", 0),
        ("expand_probability", 1.5),
        ("expand_max_ratio", 0.5),
        ("crop_min_side", 0),
        ("crop_options", 7),
        ("mirror_probability", -0.1),
    ],
)
def test_values_out_of_range_are_named(argument, value):
    with pytest.raises(ValueError, match=f"augmentation.{argument}={value}"):
        TrainTransform(**{"image_size": 32} | {argument: value})
