"""What a source gives: frames, and inputs that gave none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from yolactpp.prediction.images import Pixels


@dataclass(frozen=True)
class Frame:
    """One image of a source.

    Args:
        image_bgr: uint8 [H, W, 3].
        name: where its results go below the output folder; relative, without suffix, unique.
        file_name: what it is called in COCO's list of images.
        image_id: of the COCO file, or a running number from 1.
    """

    image_bgr: Pixels
    name: str
    file_name: str
    image_id: int


@dataclass(frozen=True)
class Failure:
    """An input that could not be used, or not to its end; the message names it and the reason."""

    message: str


@dataclass(frozen=True)
class Source:
    """Images to predict.

    Args:
        name: of the folder that the results go to by default.
        frames: in order; may be gone through once.
        total: number of frames, where it is known.
        fps: frames per second of a video; None for single images.
    """

    name: str
    frames: Iterable[Frame | Failure]
    total: int | None
    fps: float | None = None


def safe_name(file_name: str) -> str:
    """A relative path from a file's name that stays inside the folder it is joined to."""
    parts = PurePosixPath(file_name.replace("\\", "/")).parts
    kept = [part for part in parts if part not in ("/", "..", ".")]
    return "/".join(kept) or "unnamed"


def unique_names(file_names: list[str]) -> list[str]:
    """Names without suffix, made different where files differ in the suffix alone."""
    taken: set[str] = set()
    names = []
    for path in (PurePosixPath(safe_name(each)) for each in file_names):
        stem = str(path.with_suffix(""))
        name, number = stem, 2
        if name in taken:
            name = f"{stem}_{path.suffix.removeprefix('.')}"
        while name in taken:
            name = f"{stem}_{number}"
            number += 1
        taken.add(name)
        names.append(name)
    return names
