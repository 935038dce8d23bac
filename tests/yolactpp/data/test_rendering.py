"""Pixels of the device beside those of the workers: OpenCV on a canvas that is really built."""

from itertools import product

import cv2
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.data._utils.pin_memory import pin_memory

from tests.yolactpp.data import coco_folder
from tests.yolactpp.data.test_augment import make_sample
from tests.yolactpp.data.test_options import options, settings
from yolactpp.build import make
from yolactpp.data.augment import TrainTransform
from yolactpp.data.coco import CocoDataset
from yolactpp.data.loader import train_loader
from yolactpp.data.orient import orient
from yolactpp.data.photometric import Distortion, amounts, distort
from yolactpp.data.plan import Plan
from yolactpp.data.rendering import RenderedBatches, render
from yolactpp.data.resize import MEAN_BGR, normalise, resize_image
from yolactpp.data.unrendered import UnrenderedImages
from yolactpp.data.view import View, take_view

# Of a normalised pixel, of which 1 is a standard deviation: 57 of 255. Rounding gives 1e-5.
TOLERANCE = 1e-4
CPU = torch.device("cpu")
NOTHING = Distortion(None, None, False, None, None)
VIEWS = {
    "whole": View(0, 0, 60, 40),
    "crop": View(13, 7, 31, 22),
    "crop at the far corner": View(40, 30, 20, 10),
    "one pixel": View(59, 39, 1, 1),
    "one row": View(3, 20, 50, 1),
    "one column": View(20, 3, 1, 30),
    "image in the middle": View(-50, -30, 170, 120),
    "image at the near corner": View(0, 0, 190, 130),
    "image at the far corner": View(-130, -90, 190, 130),
    "part of the image and canvas": View(-20, 25, 45, 60),
    "one pixel of the image": View(59, 39, 70, 80),
    "canvas beside the image": View(60, 0, 30, 40),
    "canvas away from the image": View(-100, -80, 40, 30),
    "canvas above a part of the image": View(10, -40, 30, 20),
}
DISTORTIONS = {
    "none": None,
    "the way through HSV": NOTHING,
    "darker than black": Distortion(-32.0, None, False, None, None),
    "zero in the largest channel": Distortion(-10.0, None, False, None, None),
    "contrast first": Distortion(20.5, 1.5, True, 0.5, None),
    "contrast last": Distortion(-31.3, 0.5, False, 1.5, 7.7),
    "hue over 360": Distortion(None, None, False, None, 18.0),
    "hue under 0": Distortion(None, None, False, 1.5, -18.0),
    "everything": Distortion(-25.2, 1.4, True, 1.49, -17.9),
}


def image(height: int = 40, width: int = 60) -> np.ndarray:
    """Noise, with a corner of dark and grey pixels, of pure colours and of reds on both sides."""
    pixels = np.random.RandomState(0).randint(0, 256, (height, width, 3), np.uint8)
    grid = np.array(list(product((0, 5, 10, 255), repeat=3)), np.uint8).reshape(8, 8, 3)
    reds = np.array([[[b, g, 200] for g in range(0, 40, 5)] for b in range(0, 40, 5)], np.uint8)
    corner = np.concatenate([grid, reds], axis=1)[:height, :width]
    pixels[: corner.shape[0], : corner.shape[1]] = corner
    return pixels


def by_opencv(pixels: np.ndarray, plan: Plan, size: int) -> torch.Tensor:
    """Every step of the original in its order, on the whole image."""
    distorted = pixels.astype(np.float32)
    if plan.distortion is not None:
        distorted = distort(distorted, plan.distortion)
    seen = take_view(distorted, plan.view, MEAN_BGR)
    return normalise(resize_image(orient(seen, *plan.orientation), size))


def rendered(pixels: np.ndarray, *plans: Plan, size: int) -> torch.Tensor:
    parts = [UnrenderedImages.of(pixels, plan, size) for plan in plans]
    return render(UnrenderedImages.together(parts))


def assert_near(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("distortion", list(DISTORTIONS.values()), ids=list(DISTORTIONS))
def test_distortions(distortion):
    plan = Plan(VIEWS["whole"], distortion, False, False, 0)
    assert_near(rendered(image(), plan, size=64)[0], by_opencv(image(), plan, 64))


def test_the_distortions_above_reach_what_is_odd():
    pixels = image().astype(np.float32)
    hue, saturation, _ = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_BGR2HSV))
    assert ((hue > 342) & (saturation > 0)).sum() > 10
    assert ((hue < 18) & (saturation > 0)).sum() > 10
    largest = pixels.max(axis=2)
    assert (largest - 32 < 0).sum() > 5
    assert (largest - 10 == 0).sum() > 5
    assert (saturation == 0).sum() >= 4
    there_and_back = distort(pixels - 32, NOTHING)
    assert np.abs(there_and_back - (pixels - 32)).max() > 1


@pytest.mark.parametrize("view", list(VIEWS.values()), ids=list(VIEWS))
def test_views(view):
    plan = Plan(view, DISTORTIONS["everything"], False, False, 0)
    for size in (1, 16, 64, 150):
        assert_near(rendered(image(), plan, size=size)[0], by_opencv(image(), plan, size))


@pytest.mark.parametrize("view", ["crop", "part of the image and canvas", "one row"])
def test_orientations(view):
    turns = product((False, True), (False, True), range(4))
    plans = [Plan(VIEWS[view], DISTORTIONS["contrast last"], *each) for each in turns]
    expected = [by_opencv(image(), plan, 48) for plan in plans]
    assert_near(rendered(image(), *plans, size=48), torch.stack(expected))


def test_images_of_a_batch_do_not_mix():
    drawn = [each for each in DISTORTIONS.values() if each is not None]
    plans = [
        Plan(view, drawn[number % len(drawn)], bool(number % 2), False, number % 4)
        for number, view in enumerate(VIEWS.values())
    ]
    expected = [by_opencv(image(), plan, 32) for plan in plans]
    assert_near(rendered(image(), *plans, size=32), torch.stack(expected))


def test_the_canvas_is_the_mean_colour_to_the_bit():
    plan = Plan(VIEWS["canvas away from the image"], DISTORTIONS["everything"], True, True, 3)
    assert not rendered(image(), plan, size=20).any()


def test_one_pixel_image():
    plan = Plan(View(0, 0, 1, 1), DISTORTIONS["everything"], True, False, 1)
    assert_near(rendered(image(1, 1), plan, size=16)[0], by_opencv(image(1, 1), plan, 16))


@pytest.mark.parametrize("view", [View(0, 0, 400, 300), View(30, -90, 301, 350)])
def test_pixels_that_nothing_mixes_stay_behind(view):
    plan = Plan(view, DISTORTIONS["everything"], True, False, 3)
    parts = UnrenderedImages.of(image(300, 400), plan, 32)
    assert len(parts.pixels_P3) <= 64 * 64
    assert_near(render(UnrenderedImages.together([parts]))[0], by_opencv(image(300, 400), plan, 32))


def test_amounts_worked_by_hand():
    assert amounts(NOTHING) == (0, 1, 1, 0, 1)
    assert amounts(Distortion(3.0, 0.5, True, None, None)) == (3, 0.5, 1, 0, 1)
    assert amounts(Distortion(None, 0.5, False, 1.5, -4.0)) == (0, 1, 1.5, -4, 0.5)


@pytest.mark.parametrize("protocol", ["sound", "survey_code"])
@pytest.mark.parametrize("option", options("augmentation"))
def test_every_augmentation(option, protocol):
    overrides = f"augmentation={option}", f"protocol={protocol}", "augmentation.image_size=40"
    transform = make(settings(*overrides)["augmentation"])
    images, parts = [], []
    for seed in range(12):
        sample = make_sample(seed % 4, seed=seed)
        draws, again = np.random.RandomState(seed), np.random.RandomState(seed)
        first, *truth = transform(sample, draws)
        part, *same_truth = transform.unrendered(sample, again)
        assert all(torch.equal(*each) for each in zip(truth, same_truth, strict=True))
        assert draws.uniform() == again.uniform()
        images.append(first)
        parts.append(part)
    assert_near(render(UnrenderedImages.together(parts)), torch.stack(images))


@pytest.fixture
def dataset(tmp_path):
    root = coco_folder.write(tmp_path, coco_folder.content())
    return CocoDataset(root, "images", "annotations.json")


def batches(dataset, *, unrendered, start=0, **changed):
    loader = train_loader(
        dataset,
        TrainTransform(32, redraw_empty_images=True),
        **{"batch_size": 4, "seed": 7, "start_iteration": start, "iterations": 5} | changed,
        unrendered=unrendered,
    )
    return list(RenderedBatches(loader, CPU) if unrendered else loader)


def assert_same_batches(first, second):
    assert len(first) == len(second)
    for (images, targets), (same_images, same_targets) in zip(first, second, strict=True):
        assert_near(images, same_images)
        for name, tensor in vars(targets).items():
            assert torch.equal(tensor, getattr(same_targets, name))


@pytest.mark.parametrize("changed", [{}, {"start": 3}, {"rank": 1, "world_size": 3}])
def test_batches_are_those_of_the_workers(dataset, changed):
    assert_same_batches(
        batches(dataset, unrendered=True, **changed), batches(dataset, unrendered=False, **changed)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_hand_over_the_same(dataset):
    assert_same_batches(
        batches(dataset, unrendered=True, workers=2), batches(dataset, unrendered=False)
    )


def test_a_batch_is_pinned_as_a_whole(dataset, monkeypatch):
    loader = train_loader(
        dataset,
        TrainTransform(32),
        **{"batch_size": 4, "seed": 7, "start_iteration": 0, "iterations": 1},
        unrendered=True,
    )
    (batch,) = loader
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self) or self)
    images, _ = pin_memory(batch)
    assert isinstance(images, UnrenderedImages)
    assert len(pinned) == len(vars(batch[0])) + len(vars(batch[1]))


def test_nothing_waits_for_the_device():
    """Fake tensors have shapes alone: whatever asks for a value fails."""
    plans = [Plan(view, DISTORTIONS["everything"], True, False, 1) for view in VIEWS.values()]
    images = UnrenderedImages.together([UnrenderedImages.of(image(), each, 32) for each in plans])
    with FakeTensorMode(allow_non_fake_inputs=False) as fake:
        shapes = UnrenderedImages(*(fake.from_tensor(part) for part in vars(images).values()))
        result = render(shapes)
    assert result.shape == (len(plans), 3, 32, 32)
    assert result.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same(dataset):
    expected = batches(dataset, unrendered=False)
    loader = train_loader(
        dataset,
        TrainTransform(32, redraw_empty_images=True),
        **{"batch_size": 4, "seed": 7, "start_iteration": 0, "iterations": 5},
        pin_memory=True,
        unrendered=True,
    )
    found = [
        (images.cpu(), targets) for images, targets in RenderedBatches(loader, torch.device("cuda"))
    ]
    assert_same_batches(found, expected)
