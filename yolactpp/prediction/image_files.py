"""Image files, the images of a folder, of a glob pattern and of a COCO file as sources."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolactpp.data.image_file import ImageError, read_image
from yolactpp.engine.failures import BadInputError
from yolactpp.prediction.frames import Failure, Frame, Source, unique_names

JPEGS = (".jfif", ".jpe", ".jpeg", ".jpg")
PORTABLE_MAPS = (".pbm", ".pgm", ".pnm", ".ppm")
SUFFIXES = frozenset(
    (*JPEGS, *PORTABLE_MAPS, ".avif", ".bmp", ".gif", ".jp2", ".png", ".tif", ".tiff", ".webp")
)
PATTERN = frozenset("*?[")


@dataclass(frozen=True)
class _Entry:
    """An image file and what it is called."""

    path: Path
    file_name: str
    image_id: int


@dataclass(frozen=True)
class ImageFiles:
    """Frames of image files, each read when its turn comes."""

    entries: Sequence[_Entry]

    def __iter__(self) -> Iterator[Frame | Failure]:
        names = unique_names([entry.file_name for entry in self.entries])
        for entry, name in zip(self.entries, names, strict=True):
            try:
                image_bgr = read_image(entry.path)
            except ImageError as error:
                yield Failure(str(error))
            else:
                yield Frame(image_bgr, name, entry.file_name, entry.image_id)


def open_image(path: Path) -> Source:
    """One image file, whatever its suffix."""
    return _source(path.stem, [path], path.parent)


def open_folder(folder: Path) -> Source:
    """All image files in and below a folder, by path; hidden ones are left out.

    Raises:
        BadInputError: there are none.
    """
    files = []
    for directory, below, names in os.walk(folder):
        below[:] = [each for each in below if not each.startswith(".")]
        files += [Path(directory) / name for name in names if not name.startswith(".")]
    images = sorted(path for path in files if path.suffix.lower() in SUFFIXES)
    if not images:
        held = f"none of its {len(files)} files is one" if files else "it is empty"
        raise BadInputError(f"source={folder} holds no image: {held}. {_suffixes()}")
    return _source(folder.resolve().name, images, folder)


def open_pattern(pattern: str) -> Source:
    """The image files that a glob pattern matches; `**` goes down into folders.

    Raises:
        BadInputError: there are none.
    """
    # Path.glob takes no absolute pattern.
    matches = [Path(match) for match in glob.glob(pattern, recursive=True)]  # noqa: PTH207
    images = sorted(p for p in matches if p.is_file() and p.suffix.lower() in SUFFIXES)
    if not images:
        raise BadInputError(
            f"source={pattern} matches {len(matches)} files and no image among them. {_suffixes()}"
        )
    parts = [part for part in Path(pattern).parts if not PATTERN & set(part)]
    root = Path(os.path.commonpath([path.parent for path in images]))
    return _source(Path(*parts).stem or "images", images, root)


def open_coco(annotations: Path, images: Path | None) -> Source:
    """The images that a COCO file lists, with its image ids.

    Args:
        annotations: JSON file with `images`; its annotations are not looked at.
        images: folder of the images; None looks beside the file, then in `images` beside it.

    Raises:
        BadInputError: the file is no COCO file, or lists no image.
    """
    try:
        listed = json.loads(annotations.read_text(encoding="utf-8"))["images"]
        found = [(str(each["file_name"]), int(each["id"])) for each in listed]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"source={annotations} is no COCO file: {error!r}") from error
    if not found:
        raise BadInputError(f"source={annotations} lists no image")
    folder = images if images is not None else _image_folder(annotations, found[0][0])
    entries = [_Entry(folder / file_name, file_name, number) for file_name, number in found]
    return Source(annotations.stem, ImageFiles(entries), len(entries))


def _image_folder(annotations: Path, file_name: str) -> Path:
    beside = annotations.parent
    return beside if (beside / file_name).exists() else beside / "images"


def _source(name: str, paths: Sequence[Path], root: Path) -> Source:
    entries = [
        _Entry(path, path.relative_to(root).as_posix(), number)
        for number, path in enumerate(paths, start=1)
    ]
    return Source(name or "images", ImageFiles(entries), len(entries))


def _suffixes() -> str:
    return f"Images end in {' '.join(sorted(SUFFIXES))}"
