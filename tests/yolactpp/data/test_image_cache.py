"""One block of images, seen by processes of every start method."""

import os

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from tests.yolactpp.data import coco_folder
from yolactpp.data.annotation_file import DatasetError
from yolactpp.data.coco import CocoDataset
from yolactpp.data.image_cache import ImageCache

SIZES = [(4, 5), (1, 7), (3, 3)]


class Pixels(Dataset):
    """Each item: who reads it, whether the block is shared memory there, and the image."""

    def __init__(self, dataset: CocoDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int):
        return os.getpid(), self.dataset._cache._block.is_shared(), self.dataset[index].image_bgr


def test_images_of_many_sizes_come_back_whole():
    images = [np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8) for size in SIZES]
    cache = ImageCache(SIZES, images)
    for index, image in enumerate(images):
        np.testing.assert_array_equal(cache[index], image)


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_workers_of_every_start_method_read_the_cache(tmp_path, start):
    root = coco_folder.write(tmp_path, coco_folder.content())
    plain = CocoDataset(root, "images", "annotations.json")
    files = [plain.read_image(index) for index in range(len(plain))]
    cached = CocoDataset(root, "images", "annotations.json", cache_images=True)
    for name in ("a", "b", "empty"):
        (root / "images" / f"{name}.png").unlink()
    loader = DataLoader(
        Pixels(cached), batch_size=None, num_workers=2, multiprocessing_context=start
    )
    for (reader, shared, image), file in zip(loader, files, strict=True):
        assert reader != os.getpid()
        assert shared == (start != "fork")  # forked pages are shared as they are
        np.testing.assert_array_equal(image, file)


def test_cached_images_have_the_annotated_size(tmp_path):
    content = coco_folder.content()
    root = coco_folder.write(tmp_path, content)
    cv2.imwrite(str(root / "images" / "b.png"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"b\.png: 9 x 9 pixels"):
        CocoDataset(root, "images", "annotations.json", cache_images=True)


def test_more_than_half_of_free_memory_is_refused():
    with pytest.raises(DatasetError, match=r"only .* GB of memory are free; set runtime\.cache"):
        ImageCache([(1_000_000, 1_000_000)], [])
