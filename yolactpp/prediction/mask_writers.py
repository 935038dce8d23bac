"""Masks as PNG files, or as polygons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolactpp.ops.mask_crops import CroppedDetections, Window
from yolactpp.prediction.frames import Frame
from yolactpp.prediction.image_output import write_image
from yolactpp.prediction.json_output import write_json
from yolactpp.prediction.named_detections import NamedDetections
from yolactpp.prediction.polygons import trace


class PngMasks:
    """One black and white PNG an instance: IMAGE/NUMBER_CLASS_SCORE.png, best first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, frame: Frame, detections: NamedDetections) -> None:
        size = frame.image_bgr.shape[:2]
        rows = zip(
            _windows(detections), detections.names, detections.scores_N.tolist(), strict=True
        )
        for number, (window, name, score) in enumerate(rows):
            mask_HW = np.zeros(size, np.uint8)
            height, width = window.pixels_HW.shape
            inside = np.s_[window.top : window.top + height, window.left : window.left + width]
            mask_HW[inside] = 255 * window.pixels_HW.astype(np.uint8)
            label = re.sub(r"[^\w.-]+", "_", name)
            path = self.folder / frame.name / f"{number:03d}_{label}_{score:.2f}.png"
            write_image(path, mask_HW)

    def close(self) -> None:
        pass


class PolygonFiles:
    """One JSON file an image: size and, for each instance, class, scores, box, polygons, holes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, frame: Frame, detections: NamedDetections) -> None:
        height, width = frame.image_bgr.shape[:2]
        rows = zip(
            detections.names,
            detections.scores_N.tolist(),
            detections.mask_scores_N.tolist(),
            detections.boxes_N4.tolist(),
            _windows(detections),
            strict=True,
        )
        instances = []
        for name, score, mask_score, box, window in rows:
            outline = trace(window.pixels_HW, window.top, window.left)
            instances.append(
                {
                    "class": name,
                    "score": score,
                    "mask_score": mask_score,
                    "box_xyxy": box,
                    "polygons": outline.polygons,
                    "holes": outline.holes,
                }
            )
        content = {
            "file_name": frame.file_name,
            "height": height,
            "width": width,
            "instances": instances,
        }
        write_json(self.folder / f"{frame.name}.json", content)

    def close(self) -> None:
        pass


def _windows(detections: NamedDetections) -> Iterator[Window]:
    """Each mask as a window that holds all of it."""
    inner = detections.detections
    if isinstance(inner, CroppedDetections):
        yield from inner.mask_crops.windows
        return
    for mask_HW in inner.masks_NHW:
        yield _tight(mask_HW.cpu().numpy())


def _tight(mask_HW: NDArray[np.bool_]) -> Window:
    rows, columns = (np.flatnonzero(mask_HW.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return Window(0, 0, np.zeros((0, 0), dtype=bool))
    inside = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Window(int(rows[0]), int(columns[0]), mask_HW[inside])
