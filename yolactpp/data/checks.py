"""What is wrong with a COCO data set, found before training instead of hours into it.

Image files are opened by their headers only, so the check of 2000 images takes about a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from yolactpp.data.annotation_file import (
    DatasetError,
    annotation_fault,
    image_path,
    missing_dataset,
    read_annotation_file,
)
from yolactpp.data.coco import select_categories
from yolactpp.data.image_file import ImageError, read_image, read_image_size


@dataclass(frozen=True)
class Finding:
    """One fault: in which file, of which entry (`annotation 12`; empty for the file), and what."""

    file: Path
    entry: str
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, [str(self.file), self.entry, self.message]))


def check_dataset(
    root: str | Path,
    splits: dict[str, tuple[str, str]],
    *,
    classes: list[str] | None = None,
    drop_invalid: bool = False,
    source: str | None = None,
    decode_images: bool = False,
) -> list[Finding]:
    """All faults of a data set; an empty list if it can be used.

    Images without annotations and crowd regions are legal.

    Args:
        root: the data set's folder.
        splits: name -> (folder of the images, annotation file), both relative to root.
        classes: names of the categories to use; None for all.
        drop_invalid: whether annotations with unusable boxes or segmentations will be left out, so
            that they are no findings.
        source: where the data set can be had, told when it is missing.
        decode_images: whether every image is decoded whole, which also finds files cut off.
    """
    if not Path(root).is_dir():
        return [Finding(Path(root), "", missing_dataset(source))]
    findings: list[Finding] = []
    categories: dict[str, dict[int, str]] = {}
    for split, (folder, annotation_file) in splits.items():
        file = Path(root) / annotation_file
        try:
            content = read_annotation_file(file, source)
        except DatasetError as error:
            findings.append(Finding(file, "", str(error).removeprefix(f"{file}: ")))
            continue
        checker = _SplitChecker(file, Path(root) / folder, content)
        findings += checker.findings(drop_invalid, decode_images)
        try:
            categories[split] = select_categories(checker.sound_categories(), classes, file)
        except DatasetError as error:
            findings.append(Finding(file, "", str(error).removeprefix(f"{file}: ")))
    findings += _differing_categories(root, splits, categories)
    return findings


def _differing_categories(
    root: str | Path, splits: dict[str, tuple[str, str]], categories: dict[str, dict[int, str]]
) -> Iterator[Finding]:
    """Labels count categories, so all splits must name the same ones."""
    if not categories:
        return
    first, expected = next(iter(categories.items()))
    for split, found in categories.items():
        if found != expected:
            file = Path(root) / splits[split][1]
            yield Finding(file, "", f"categories {found} differ from those of {first}, {expected}")


class _SplitChecker:
    """Checks one annotation file with its images."""

    def __init__(self, file: Path, folder: Path, content: dict[str, Any]) -> None:
        self.file = file
        self.folder = folder
        self.images = content["images"]
        self.annotations = content["annotations"]
        self.categories = content["categories"]
        self.sizes: dict[int, tuple[int, int]] = {}

    def findings(self, drop_invalid: bool, decode_images: bool) -> list[Finding]:
        found = list(self._category_findings())
        found += self._image_findings(decode_images)
        found += self._annotation_findings(drop_invalid)
        if not self.images:
            found.append(Finding(self.file, "", "it lists no image"))
        return found

    def sound_categories(self) -> list[dict[str, Any]]:
        return [
            each
            for each in self.categories
            if _is_entry(each) and isinstance(each.get("name"), str)
        ]

    def _category_findings(self) -> Iterator[Finding]:
        yield from self._id_findings("category", self.categories)
        for category in self.categories:
            if _is_entry(category) and not isinstance(category.get("name"), str):
                yield self._finding("category", category, f"name {category.get('name')!r}")

    def _image_findings(self, decode_images: bool) -> Iterator[Finding]:
        yield from self._id_findings("image", self.images)
        for image in filter(_is_entry, self.images):
            size = image.get("height"), image.get("width")
            if not all(_is_id(side) and side > 0 for side in size):
                yield self._finding(
                    "image", image, f"height, width {size} are not positive numbers"
                )
                continue
            self.sizes[image["id"]] = size
            if message := self._file_fault(image, decode_images):
                yield self._finding("image", image, message)

    def _file_fault(self, image: dict[str, Any], decode_images: bool) -> str | None:
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            return f"file_name {name!r} is not a name"
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            return f"file_name {name!r} leaves the folder {self.folder}"
        path = image_path(self.folder, name)
        try:
            found = read_image(path).shape[:2] if decode_images else read_image_size(path)
        except ImageError as error:
            return str(error)
        expected = image["height"], image["width"]
        if found != expected:
            return (
                f"{path} has {found[1]} x {found[0]} pixels (upright), "
                f"but the entry says {expected[1]} x {expected[0]}"
            )
        return None

    def _annotation_findings(self, drop_invalid: bool) -> Iterator[Finding]:
        yield from self._id_findings("annotation", self.annotations)
        known = {category["id"] for category in filter(_is_entry, self.categories)}
        listed = {image["id"] for image in filter(_is_entry, self.images)}
        for annotation in self.annotations:
            if not isinstance(annotation, dict):
                continue
            image, category = annotation.get("image_id"), annotation.get("category_id")
            if not _is_id(image) or image not in listed:
                yield self._finding("annotation", annotation, f"unknown image_id {image!r}")
            if not _is_id(category) or category not in known:
                yield self._finding("annotation", annotation, f"unknown category_id {category!r}")
            if drop_invalid or not _is_id(image) or image not in self.sizes:
                continue
            if message := annotation_fault(annotation, *self.sizes[image]):
                yield self._finding("annotation", annotation, message)

    def _id_findings(self, kind: str, entries: Iterable[Any]) -> Iterator[Finding]:
        """Entries that are none, ids that are no integers, ids used twice."""
        counts: Counter[int] = Counter()
        for place, entry in enumerate(entries):
            if not isinstance(entry, dict):
                yield Finding(self.file, f"{kind} at place {place}", f"not an object: {entry!r}")
            elif not _is_id(entry.get("id")):
                message = f"id {entry.get('id')!r} is not an integer"
                yield Finding(self.file, f"{kind} at place {place}", message)
            else:
                counts[entry["id"]] += 1
        for number, count in counts.items():
            if count > 1:
                yield Finding(self.file, f"{kind} {number}", f"this id is used {count} times")

    def _finding(self, kind: str, entry: dict[str, Any], message: str) -> Finding:
        return Finding(self.file, f"{kind} {entry.get('id')!r}", message)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_entry(value: Any) -> bool:
    return isinstance(value, dict) and _is_id(value.get("id"))
