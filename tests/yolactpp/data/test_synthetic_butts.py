"""The generator: deterministic, in the Cigarettes set's layout, masks true to the picture."""

import socket

import numpy as np
import pytest

from yolactpp.data.checks import check_dataset
from yolactpp.data.coco import CocoDataset
from yolactpp.data.generated import ensure_dataset
from yolactpp.data.ground import GROUNDS, render_ground
from yolactpp.data.loader import random_state
from yolactpp.data.segmentation import decode_segmentation
from yolactpp.data.synthetic_butts import SyntheticButts, mask_to_polygons

SPLITS = {
    split: (f"{split}/images", f"{split}/coco_annotations.json") for split in ("train", "val")
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    generator = SyntheticButts(train_images=6, val_images=3, image_size=64)
    return generator, ensure_dataset(tmp_path_factory.mktemp("data") / "butts", generator)


def test_layout_passes_the_checks(made):
    _, root = made
    assert check_dataset(root, SPLITS, decode_images=True) == []
    for split, count in (("train", 6), ("val", 3)):
        dataset = CocoDataset(root, *SPLITS[split])
        assert len(dataset) == count
        assert dataset.class_names == ["cig_butt"]
        assert dataset[0].image_bgr.shape == (64, 64, 3)
        assert all(1 <= len(dataset[index].labels) <= 8 for index in range(count))


def test_annotations_are_the_rendered_masks(made):
    generator, root = made
    dataset = CocoDataset(root, *SPLITS["train"])
    for index in range(len(dataset)):
        rendered, sample = generator.scene("train", index), dataset[index]
        assert len(rendered.masks) == len(sample.masks)
        for expected, mask in zip(rendered.masks, sample.masks, strict=True):
            assert (expected & mask).sum() / (expected | mask).sum() > 0.97
        assert sample.masks.sum(axis=0).max() == 1 or (sample.masks.sum(axis=0) > 1).mean() < 0.01


def test_same_bytes_whatever_the_number_of_threads(made, tmp_path, monkeypatch):
    generator, root = made
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    again = ensure_dataset(tmp_path / "butts", generator)
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert len(files) == 6 + 3 + 3
    for file in files:
        assert (root / file).read_bytes() == (again / file).read_bytes()


def test_seed_and_split_change_the_picture():
    scene = SyntheticButts(image_size=64).scene("train", 0)
    assert not np.array_equal(scene.image, SyntheticButts(image_size=64).scene("val", 0).image)
    other = SyntheticButts(image_size=64, seed=1).scene("train", 0)
    assert not np.array_equal(scene.image, other.image)


def test_no_butt_is_hidden():
    generator = SyntheticButts(image_size=64, min_visible_px=30)
    for number in range(15):
        masks = generator.scene("train", number).masks
        assert (masks.sum(axis=(1, 2)) >= 0.85 * 30).all()
        assert masks.sum(axis=0).max() == 1


@pytest.mark.parametrize("kind", GROUNDS)
def test_grounds_are_bright_enough_textured_and_need_no_network(kind, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    ground = render_ground(kind, 96, 96 / 512, random_state(0))
    assert ground.shape == (96, 96, 3)
    assert 0.05 < ground.mean() < 0.9
    assert ground.std() > 0.02
    assert ground.min() >= -0.05


def test_polygons_keep_parts_and_leave_holes():
    mask = np.zeros((20, 20), np.uint8)
    mask[2:9, 2:9] = 1
    mask[12:18, 3:17] = 1
    polygons = mask_to_polygons(mask)
    assert len(polygons) == 2
    np.testing.assert_array_equal(decode_segmentation(polygons, 20, 20), mask)
    holed = mask.copy()
    holed[4:6, 4:6] = 0
    np.testing.assert_array_equal(decode_segmentation(mask_to_polygons(holed), 20, 20), mask)


def test_a_mask_at_the_edge():
    mask = np.ones((7, 9), np.uint8)
    np.testing.assert_array_equal(decode_segmentation(mask_to_polygons(mask), 7, 9), mask)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"version": 2}, "version=2"),
        ({"train_images": 0}, "train_images=0"),
        ({"image_size": 8}, "image_size=8"),
        ({"length": (0.5, 0.2)}, "length="),
        ({"length": (0.5, 1.2)}, "length="),
    ],
)
def test_settings_out_of_range_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        SyntheticButts(**setting)
