"""A COCO instance segmentation data set: images, boxes, labels and masks as they are on disk."""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolactpp.data.annotation_file import (
    DatasetError,
    annotation_fault,
    image_path,
    read_annotation_file,
)
from yolactpp.data.image_cache import ImageCache
from yolactpp.data.image_file import read_image
from yolactpp.data.segmentation import draw_segmentation
from yolactpp.structures import CROWD


@dataclass
class Sample:
    """One image with its objects, before any transform. Crowd regions come last.

    Args:
        image_bgr: uint8 [H, W, 3].
        boxes_xyxy: float64 [n, 4], pixels.
        labels: int64 [n], index into the data set's class names; CROWD for a crowd region.
        masks: uint8 0/1 [n, H, W].
        image_id: the annotation file's.
    """

    image_bgr: np.ndarray
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    image_id: int


@dataclass(frozen=True)
class _Record:
    """An image's entry, kept pickled: thousands of small objects would be copied by each worker."""

    image_id: int
    path: Path
    height: int
    width: int
    boxes_xywh: list[list[float]]
    labels: list[int]
    segmentations: list[Any]


class CocoDataset:
    """Samples of one split. Class names and ids come from the annotation file, in order of id.

    Args:
        root: the data set's folder.
        images: folder of the images, relative to root.
        annotations: annotation file, relative to root.
        classes: names of the categories to keep; None keeps all.
        keep_empty_images: whether images without annotations are samples. If not, the order is that
            of first appearance among the annotations, as in the original.
        drop_invalid: whether annotations with an unusable box or segmentation are left out; if not,
            `check_dataset` is expected to have refused them.
        cache_images: whether all images are decoded at once and kept in memory.
        source: where the data set can be had, for the message when it is missing.

    Raises:
        DatasetError: missing or unusable annotation file, unknown class name, no image left, or
            not enough memory for `cache_images`.
    """

    def __init__(
        self,
        root: str | Path,
        images: str,
        annotations: str,
        *,
        classes: list[str] | None = None,
        keep_empty_images: bool = True,
        drop_invalid: bool = False,
        cache_images: bool = False,
        source: str | None = None,
    ) -> None:
        self.annotations_file = Path(root) / annotations
        content = read_annotation_file(self.annotations_file, source)
        categories = select_categories(content["categories"], classes, self.annotations_file)
        self.category_ids = list(categories)
        self.class_names = list(categories.values())
        self.dropped = 0
        records = self._records(content, Path(root) / images, keep_empty_images, drop_invalid)
        if not records:
            raise DatasetError(f"{self.annotations_file}: no image to use")
        self.image_ids = [record.image_id for record in records]
        self._pickled = _PickledList(records)
        self._cache: ImageCache | None = None
        if cache_images:
            sizes = [(record.height, record.width) for record in records]
            self._cache = ImageCache(sizes, map(self.read_image, range(len(records))))

    def __len__(self) -> int:
        return len(self._pickled)

    def __getitem__(self, index: int) -> Sample:
        """The sample at a place of the order.

        Raises:
            ImageError: the image cannot be read.
            DatasetError: its size differs from the annotation file's.
        """
        record: _Record = self._pickled[index]
        image = self.read_image(index)
        height, width = image.shape[:2]
        boxes = np.array(record.boxes_xywh, dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        masks = np.zeros((len(boxes), height, width), np.uint8)
        for mask, segmentation in zip(masks, record.segmentations, strict=True):
            draw_segmentation(segmentation, mask)
        labels = np.array(record.labels, dtype=np.int64)
        return Sample(image, boxes, labels, masks, record.image_id)

    def read_image(self, index: int) -> np.ndarray:
        """The image alone, BGR uint8 [H, W, 3]; for evaluation, which needs no masks."""
        if self._cache is not None:
            return self._cache[index]
        record: _Record = self._pickled[index]
        image = read_image(record.path)
        if image.shape[:2] != (record.height, record.width):
            raise DatasetError(
                f"{record.path}: {image.shape[1]} x {image.shape[0]} pixels, but "
                f"{self.annotations_file} says {record.width} x {record.height} for image "
                f"{record.image_id}; correct the annotation file or the file's EXIF orientation"
            )
        return image

    def relative_boxes(self) -> np.ndarray:
        """x1, y1, x2, y2 of all objects relative to their images, float64 [n, 4]; no crowds."""
        boxes = [
            (x / record.width, y / record.height, (x + w) / record.width, (y + h) / record.height)
            for record in self._pickled
            for (x, y, w, h), label in zip(record.boxes_xywh, record.labels, strict=True)
            if label != CROWD
        ]
        return np.array(boxes, dtype=np.float64).reshape(-1, 4)

    def _records(
        self, content: dict[str, Any], folder: Path, keep_empty_images: bool, drop_invalid: bool
    ) -> list[_Record]:
        images = {image["id"]: image for image in content["images"]}
        label_of = {category: label for label, category in enumerate(self.category_ids)}
        by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            if annotation["category_id"] not in label_of:
                continue
            image = images.get(annotation["image_id"])
            if image is None:
                raise DatasetError(
                    f"{self.annotations_file}: annotation {annotation.get('id')} names the unknown "
                    f"image {annotation['image_id']!r}"
                )
            if drop_invalid and annotation_fault(annotation, image["height"], image["width"]):
                self.dropped += 1
                continue
            by_image[annotation["image_id"]].append(annotation)
        order = list(images) if keep_empty_images else list(by_image)
        return [
            _make_record(images[image_id], by_image.get(image_id, []), label_of, folder)
            for image_id in order
        ]


def select_categories(
    categories: list[dict[str, Any]], classes: list[str] | None, file: Path
) -> dict[int, str]:
    """Category id -> class name, by ascending id; a name that is not unique gains its id.

    Raises:
        DatasetError: a wanted class is none of the file's, or the file has no category.
    """
    counts = Counter(category["name"] for category in categories)
    unknown = [name for name in classes or [] if name not in counts]
    if unknown or not categories:
        raise DatasetError(
            f"{file}: no category {', '.join(unknown)}; it holds: {', '.join(counts) or 'none'}. "
            "Set dataset.classes to some of these, or to null for all"
        )
    chosen = [category for category in categories if classes is None or category["name"] in classes]
    return {
        category["id"]: str(category["name"])
        if counts[category["name"]] == 1
        else f"{category['name']} ({category['id']})"
        for category in sorted(chosen, key=lambda category: category["id"])
    }


def _make_record(
    image: dict[str, Any],
    annotations: list[dict[str, Any]],
    label_of: dict[int, int],
    folder: Path,
) -> _Record:
    ordered = sorted(annotations, key=lambda annotation: bool(annotation.get("iscrowd")))
    return _Record(
        image_id=image["id"],
        path=image_path(folder, image["file_name"]),
        height=image["height"],
        width=image["width"],
        boxes_xywh=[annotation["bbox"] for annotation in ordered],
        labels=[
            CROWD if annotation.get("iscrowd") else label_of[annotation["category_id"]]
            for annotation in ordered
        ],
        segmentations=[annotation["segmentation"] for annotation in ordered],
    )


class _PickledList:
    """A list as one array of bytes, which forked workers share instead of copying."""

    def __init__(self, items: list[Any]) -> None:
        pickled = [pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL) for item in items]
        self._ends = np.cumsum([len(each) for each in pickled])
        self._bytes = np.frombuffer(b"".join(pickled), np.uint8)

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)}")
        start = self._ends[index - 1] if index else 0
        return pickle.loads(self._bytes[start : self._ends[index]].data)
