"""Real microscope images: the eight in the repository, and the whole set where it is at hand."""

import os
from pathlib import Path

import pytest
import torch

from yolactpp.data.augment import TrainTransform
from yolactpp.data.checks import check_dataset
from yolactpp.data.coco import CocoDataset
from yolactpp.data.loader import train_loader

EIGHT = Path(__file__).parents[2] / "data" / "nuclei"
SPLITS = {
    split: (f"{split}/images", f"{split}/coco_annotations.json") for split in ("train", "val")
}


def test_eight_images_are_sound():
    assert check_dataset(EIGHT, SPLITS, decode_images=True) == []
    assert [len(CocoDataset(EIGHT, *SPLITS[split])) for split in SPLITS] == [5, 3]


def test_every_pixel_of_a_nucleus_lies_in_its_box():
    dataset = CocoDataset(EIGHT, *SPLITS["train"])
    for sample in dataset:
        for box, mask in zip(sample.boxes_xyxy, sample.masks, strict=True):
            rows, columns = mask.nonzero()
            assert columns.min() == box[0]
            assert columns.max() + 1 == box[2]
            assert rows.min() == box[1]
            assert rows.max() + 1 == box[3]


def test_microscopy_keeps_nuclei_from_vanishing():
    """Why augmentation=microscopy exists: SSD's expansion shrinks small objects to nothing."""
    dataset = CocoDataset(EIGHT, *SPLITS["train"])

    def empty_share(**options):
        loader = train_loader(
            dataset,
            TrainTransform(128, **options),
            batch_size=5,
            seed=0,
            start_iteration=0,
            iterations=8,
        )
        areas = torch.cat([targets.masks_GHW.sum(dim=(1, 2)) for _, targets in loader])
        return (areas < 9).float().mean()

    microscopy = {"expand_probability": 0.0, "crop_min_side": 0.5}
    assert empty_share(**microscopy) < 0.7 * empty_share()


@pytest.mark.skipif(not os.environ.get("YOLACTPP_NUCLEI"), reason="YOLACTPP_NUCLEI is not set")
@pytest.mark.slow
def test_whole_set():
    root = os.environ["YOLACTPP_NUCLEI"]
    assert check_dataset(root, SPLITS) == []
    dataset = CocoDataset(root, *SPLITS["train"])
    assert len(dataset) == 464
    assert len(dataset.relative_boxes()) == 19680
