"""What `write=` can be: overlays, COCO results, masks as PNG files, polygons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from yolactpp.engine.failures import BadInputError
from yolactpp.prediction.coco_writer import CocoResults
from yolactpp.prediction.frames import Frame
from yolactpp.prediction.mask_writers import PngMasks, PolygonFiles
from yolactpp.prediction.named_detections import NamedDetections
from yolactpp.prediction.overlay_writers import OverlayImages, OverlayVideo

KINDS = ("overlay", "coco", "png", "polygons")


class Writer(Protocol):
    """Takes frames with their detections one by one; `close` finishes what was begun."""

    def write(self, frame: Frame, detections: NamedDetections) -> None: ...

    def close(self) -> None: ...


def make_writers(
    kinds: Sequence[str],
    folder: Path,
    *,
    class_names: Sequence[str],
    category_ids: Sequence[int],
    video: tuple[str, float] | None,
) -> list[Writer]:
    """The writers of the kinds, each in a folder of its kind's name.

    Args:
        kinds: of KINDS.
        folder: that they write below.
        class_names: by label.
        category_ids: by label.
        video: name and frames per second of a video; None for single images.

    Raises:
        BadInputError: a kind that there is not, or none at all.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise BadInputError(f"write=[{','.join(kinds)}]: choose one or more of {', '.join(KINDS)}")
    writers: dict[str, Writer] = {
        "overlay": OverlayImages(folder / "overlay")
        if video is None
        else OverlayVideo(folder / "overlay" / f"{video[0]}.mp4", video[1]),
        "coco": CocoResults(folder / "coco", class_names, category_ids),
        "png": PngMasks(folder / "png"),
        "polygons": PolygonFiles(folder / "polygons"),
    }
    return [writers[kind] for kind in KINDS if kind in kinds]
