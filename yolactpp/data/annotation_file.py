"""Reading a COCO annotation file, and the error of a data set that cannot be used."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from yolactpp.data.segmentation import segmentation_fault

LISTS = ("images", "annotations", "categories")
# Boxes are written with rounded coordinates; this many pixels past the edge are no fault.
EDGE_TOLERANCE_PX = 1.0


class DatasetError(ValueError):
    """A data set cannot be used; the message says what is wrong where, and the mend."""


def read_annotation_file(path: Path, source: str | None = None) -> dict[str, Any]:
    """The content of a COCO annotation file, its three lists present.

    Args:
        path: the file.
        source: where the data set can be had, for the message when it is missing.

    Raises:
        DatasetError: the file is missing, no JSON, or lacks a list.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: {missing_dataset(source)}")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DatasetError(f"{path}: not JSON ({error})") from error
    missing = [
        name
        for name in LISTS
        if not isinstance(content, dict) or not isinstance(content.get(name), list)
    ]
    if missing:
        raise DatasetError(f"{path}: not a COCO annotation file, no list {', '.join(missing)}")
    return content


def missing_dataset(source: str | None) -> str:
    """What to do where a data set's folder or file is not there."""
    hint = f" Where to get it: {source}." if source else ""
    return f"not there.{hint} Set dataset.root (or data_root) to where the data set lies"


def short_coco_name(file_name: str) -> str:
    """`COCO_val2014_000000000042.jpg` -> `000000000042.jpg`, as the 2017 folders name the file."""
    return file_name.rsplit("_", 1)[-1] if file_name.startswith("COCO") else file_name


def image_path(folder: Path, file_name: str) -> Path:
    """The image's file: as named, or by its 2017 name where only that exists."""
    path = folder / file_name
    short = short_coco_name(file_name)
    if short != file_name and not path.exists():
        return folder / short
    return path


def annotation_fault(annotation: dict[str, Any], height: int, width: int) -> str | None:
    """What makes an annotation's box or segmentation unusable, or None if both are sound."""
    box = annotation.get("bbox")
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(type(value) in (int, float) and math.isfinite(value) for value in box)
    ):
        return f"bbox {box!r} is not a list of 4 finite numbers x, y, width, height"
    x, y, box_width, box_height = box
    if box_width <= 0 or box_height <= 0:
        return f"zero-area box {box}"
    tolerance = EDGE_TOLERANCE_PX
    if (
        min(x, y) < -tolerance
        or x + box_width > width + tolerance
        or y + box_height > height + tolerance
    ):
        return f"box {box} leaves the {width} x {height} image"
    return segmentation_fault(annotation.get("segmentation"), height, width)
