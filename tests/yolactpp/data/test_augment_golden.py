"""The reference implementation's transforms: same random numbers in, same pixels out."""

import re

import numpy as np
import pytest
import torch

from tests.golden import load_npz
from yolactpp.data.augment import TrainTransform
from yolactpp.data.coco import Sample
from yolactpp.data.orient import orient, orient_boxes
from yolactpp.data.photometric import distort, draw_distortion
from yolactpp.data.resize import (
    MEAN_BGR,
    STD_BGR,
    EvalTransform,
    resize_mask,
    without_small_boxes,
)
from yolactpp.data.view import (
    CropRule,
    View,
    draw_crop,
    draw_expansion,
    shift_and_clip,
    take_view,
)

FILES = {"transforms.npz": 6, "transforms_survey_fork.npz": 5}
MIN_BOX_SIDE = 4 / 550
ORIGINAL = {file: CropRule(options, False, False) for file, options in FILES.items()}


def cases(prefix: str) -> list[tuple[str, str]]:
    """(file, case) for every case of a kind that the golden files hold."""
    found = []
    for file in FILES:
        names = {key.split("__")[0] for key in load_npz(file)}
        found += [(file, name) for name in sorted(names) if re.fullmatch(prefix + r"\d+", name)]
    return found


def single_cases(operation: str) -> list[tuple[str, str]]:
    found = []
    for file in FILES:
        pattern = rf"single__({operation}\d+)__seed"
        names = [m[1] for key in load_npz(file) if (m := re.fullmatch(pattern, key))]
        found += [(file, name) for name in names]
    return found


class Single:
    """Input and expected result of one operation."""

    def __init__(self, file: str, case: str) -> None:
        archive = load_npz(file)
        self.image = archive["single__image_bgr_f32"]
        self.masks = archive["single__masks"]
        self.boxes = archive["single__boxes_abs"]
        self.labels = archive["single__labels"].astype(np.int64)
        self.expected = {
            key.removeprefix(f"single__{case}__"): value
            for key, value in archive.items()
            if key.startswith(f"single__{case}__")
        }
        self.rng = np.random.RandomState(int(self.expected["seed"]))
        self.view = View(0, 0, self.image.shape[1], self.image.shape[0])

    def check(self, view: View, kept: np.ndarray) -> None:
        boxes = shift_and_clip(self.boxes[kept], view)
        np.testing.assert_allclose(boxes, self.expected["boxes_abs"], atol=1e-4)
        np.testing.assert_array_equal(self.labels[kept], self.expected["labels"])
        assert (self.labels[kept] < 0).sum() == self.expected["num_crowds"]
        areas = [take_view(self.masks[i], view, (0, 0, 0)).sum() for i in kept]
        np.testing.assert_array_equal(areas, self.expected["mask_area"])
        assert self.rng.uniform() == self.expected["next_uniform"]


@pytest.mark.parametrize(("file", "case"), cases("base"))
def test_golden_evaluation_transform(file, case):
    golden = {k.removeprefix(case + "__"): v for k, v in load_npz(file).items()}
    image = EvalTransform(int(golden["max_size"]))(golden["image_bgr_u8"])
    np.testing.assert_allclose(image.numpy().transpose(1, 2, 0), golden["out_hwc_rgb"], atol=1e-5)
    kept = without_small_boxes(golden["boxes_in"], MIN_BOX_SIDE)
    np.testing.assert_allclose(golden["boxes_in"][kept], golden["boxes_out"], atol=1e-12)
    np.testing.assert_array_equal(golden["labels_in"][kept], golden["labels_out"])
    assert (golden["labels_in"][kept] < 0).sum() == golden["num_crowds_out"]


@pytest.mark.parametrize(("file", "case"), cases("base"))
def test_golden_evaluation_transform_on_tensors_agrees_with_opencv(file, case):
    golden = {k.removeprefix(case + "__"): v for k, v in load_npz(file).items()}
    size = int(golden["max_size"])
    image = torch.from_numpy(golden["image_bgr_u8"]).float().permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(image, (size, size), mode="bilinear")[0]
    mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN_BGR, STD_BGR))
    on_tensors = ((resized - mean) / std).flip(0)
    torch.testing.assert_close(
        on_tensors, torch.from_numpy(golden["fast_out_chw"]), atol=1e-5, rtol=0
    )
    ours = EvalTransform(size)(golden["image_bgr_u8"])
    torch.testing.assert_close(ours, on_tensors, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("file", "case"), cases("maskresize"))
def test_golden_mask_resize(file, case):
    golden = {k.removeprefix(case + "__"): v for k, v in load_npz(file).items()}
    size = int(golden["max_size"])
    resized = np.empty_like(golden["masks_out"])
    for mask, out in zip(golden["masks_in"], resized, strict=True):
        resize_mask(mask, out)
    np.testing.assert_array_equal(resized, golden["masks_out"])
    height, width = golden["masks_in"].shape[1:]
    boxes = golden["boxes_abs_in"] * size / np.array([width, height] * 2)
    boxes = boxes[without_small_boxes(boxes, MIN_BOX_SIDE)]
    np.testing.assert_allclose(boxes, golden["boxes_abs_out"], rtol=1e-12)


@pytest.mark.parametrize(("file", "case"), single_cases("photometric"))
def test_golden_photometric_distortion(file, case):
    single = Single(file, case)
    image = distort(single.image.copy(), draw_distortion(single.rng))
    np.testing.assert_allclose(image, single.expected["image"], atol=1e-4)
    assert single.rng.uniform() == single.expected["next_uniform"]


@pytest.mark.parametrize(("file", "case"), single_cases("expand"))
def test_golden_expansion(file, case):
    single = Single(file, case)
    view = single.view
    if not single.rng.randint(2):
        view = draw_expansion(view, 4.0, single.rng)
    image = take_view(single.image, view, MEAN_BGR)
    assert image.shape == tuple(single.expected["shape"])
    if image.shape != single.expected["image"].shape:
        image = image[::3, ::3]
    np.testing.assert_allclose(image, single.expected["image"], atol=1e-4)
    single.check(view, np.arange(len(single.labels)))


@pytest.mark.parametrize(("file", "case"), single_cases("crop"))
def test_golden_random_crop(file, case):
    single = Single(file, case)
    view, kept = draw_crop(single.view, single.boxes, single.labels, ORIGINAL[file], single.rng)
    image = take_view(single.image, view, (0, 0, 0))
    assert image.shape == tuple(single.expected["shape"])
    np.testing.assert_allclose(image, single.expected["image"], atol=1e-4)
    single.check(view, kept)


@pytest.mark.parametrize(("file", "case"), single_cases("mirror"))
def test_golden_mirror(file, case):
    single = Single(file, case)
    mirrored = bool(single.rng.randint(2))
    image = orient(single.image, mirrored, False, 0)
    boxes = orient_boxes(single.boxes, single.view, mirrored, False, 0)
    np.testing.assert_allclose(image, single.expected["image"], atol=1e-4)
    np.testing.assert_allclose(boxes, single.expected["boxes_abs"], atol=1e-4)
    assert single.rng.uniform() == single.expected["next_uniform"]


@pytest.mark.parametrize(("file", "case"), cases("full"))
def test_golden_training_transform(file, case):
    golden = {k.removeprefix(case + "__"): v for k, v in load_npz(file).items()}
    height, width = golden["image_bgr_u8"].shape[:2]
    sample = Sample(
        golden["image_bgr_u8"],
        golden["boxes"] * np.array([width, height] * 2),
        golden["labels"].astype(np.int64),
        golden["masks"],
        0,
    )
    transform = TrainTransform(
        int(golden["max_size"]),
        crop_options=FILES[file],
        crop_enforces_iou=False,
        crop_corner_uniform=False,
        min_box_side=MIN_BOX_SIDE,
    )
    rng = np.random.RandomState(int(golden["seed"]))
    image, boxes, labels, masks = transform(sample, rng)
    np.testing.assert_allclose(image.numpy().transpose(1, 2, 0), golden["out_image_hwc"], atol=1e-4)
    np.testing.assert_array_equal(masks.numpy(), golden["out_masks"])
    np.testing.assert_allclose(boxes.numpy(), golden["out_boxes"], atol=1e-6)
    np.testing.assert_array_equal(labels.numpy(), golden["out_labels"])
    assert (labels < 0).sum() == golden["out_num_crowds"]
    assert rng.uniform() == golden["next_uniform"]
