"""Detections as COCO's results format, whole source by whole source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolactpp.prediction.frames import Frame
from yolactpp.prediction.json_output import write_json
from yolactpp.prediction.named_detections import NamedDetections


class CocoResults:
    """bbox.json and segm.json in COCO's results format, and images.json that they refer to.

    Args:
        folder: of the three files, written by `close`.
        class_names: by label.
        category_ids: by label.
    """

    def __init__(
        self, folder: Path, class_names: Sequence[str], category_ids: Sequence[int]
    ) -> None:
        self.folder = folder
        self.categories = [
            {"id": number, "name": name}
            for name, number in zip(class_names, category_ids, strict=True)
        ]
        self.images: list[dict[str, Any]] = []
        self.bbox: list[dict[str, Any]] = []
        self.segm: list[dict[str, Any]] = []

    def write(self, frame: Frame, detections: NamedDetections) -> None:
        height, width = frame.image_bgr.shape[:2]
        self.images.append(
            {
                "id": frame.image_id,
                "file_name": frame.file_name,
                "height": height,
                "width": width,
            }
        )
        bbox, segm = detections.to_coco(frame.image_id)
        self.bbox += bbox
        self.segm += segm

    def close(self) -> None:
        listing = {"images": self.images, "annotations": [], "categories": self.categories}
        write_json(self.folder / "images.json", listing)
        write_json(self.folder / "bbox.json", self.bbox)
        write_json(self.folder / "segm.json", self.segm)
