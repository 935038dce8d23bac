"""Overlays as image files, or as a video."""

from __future__ import annotations

from pathlib import Path

import cv2

from yolactpp.prediction.frames import Frame
from yolactpp.prediction.image_output import write_image
from yolactpp.prediction.images import Pixels
from yolactpp.prediction.named_detections import NamedDetections
from yolactpp.prediction.overlay import draw_overlay


class OverlayImages:
    """One JPEG an image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, frame: Frame, detections: NamedDetections) -> None:
        drawn = draw_overlay(frame.image_bgr, detections)
        write_image(self.folder / f"{frame.name}.jpg", drawn)

    def close(self) -> None:
        pass


class OverlayVideo:
    """An MP4 file (codec mp4v) with the frame rate of its source.

    Args:
        path: of the file; it appears with the first frame.
        fps: frames per second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self.fps = fps
        self._video: cv2.VideoWriter | None = None

    def write(self, frame: Frame, detections: NamedDetections) -> None:
        drawn = draw_overlay(frame.image_bgr, detections)
        if self._video is None:
            self._video = self._open(drawn)
        self._video.write(drawn)

    def close(self) -> None:
        if self._video is not None:
            self._video.release()

    def _open(self, first: Pixels) -> cv2.VideoWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        size = (first.shape[1], first.shape[0])
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        video = cv2.VideoWriter(str(self.path), fourcc, self.fps, size)
        if not video.isOpened():
            raise OSError(None, "the video cannot be written", str(self.path))
        return video
