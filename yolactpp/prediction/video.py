"""Video files, streams and cameras as sources."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from yolactpp.engine.failures import BadInputError
from yolactpp.prediction.frames import Failure, Frame, Source

SUFFIXES = frozenset((".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"))
# Where a camera or a stream does not say.
DEFAULT_FPS = 25.0
# Containers count frames by duration and rate; so many, or 1 %, may be lacking without a cut.
SLACK_FRAMES = 2


@dataclass(frozen=True)
class VideoFrames:
    """Frames of an opened video, once.

    Args:
        capture: opened.
        name: of the video.
        stem: its name without suffix.
        total: frames that the container announces; None for streams and cameras.
        limit: frames to read at most; None reads all.
    """

    capture: cv2.VideoCapture
    name: str
    stem: str
    total: int | None
    limit: int | None

    def __iter__(self) -> Iterator[Frame | Failure]:
        number = 0
        try:
            while self.limit is None or number < self.limit:
                is_there, image = self.capture.read()
                if not is_there:
                    yield from self._missing(number)
                    break
                number += 1
                label = f"{number:06d}"
                pixels = np.asarray(image, np.uint8)
                yield Frame(pixels, f"{self.stem}/{label}", f"{self.name}#{label}", number)
        finally:
            self.capture.release()

    def _missing(self, read: int) -> Iterator[Failure]:
        if read == 0:
            yield Failure(f"{self.name}: no frame can be read")
        elif self.total is not None and read < self.total - max(
            SLACK_FRAMES, math.ceil(self.total / 100)
        ):
            yield Failure(
                f"{self.name}: {read} of {self.total} frames can be read, it is cut off there"
            )


def open_video(path: Path, limit: int | None = None) -> Source:
    """A video file; upright, as its metadata says.

    Raises:
        BadInputError: it cannot be opened.
    """
    if path.exists() and path.stat().st_size == 0:
        raise BadInputError(f"source={path}: the file is empty (0 bytes)")
    return _open(cv2.VideoCapture(str(path)), str(path), path.name, path.stem, limit)


def open_camera(index: int, limit: int | None = None) -> Source:
    """A camera by its number; without a limit it goes on until Ctrl-C.

    Raises:
        BadInputError: there is no such camera.
    """
    name = f"camera{index}"
    capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        raise BadInputError(f"source={index}: there is no camera of that number, or it is in use")
    return _open(capture, str(index), name, name, limit)


def open_stream(address: str, limit: int | None = None) -> Source:
    """A network stream (rtsp://, http://).

    Raises:
        BadInputError: it cannot be opened.
    """
    return _open(cv2.VideoCapture(address), address, "stream", "stream", limit)


def _open(
    capture: cv2.VideoCapture, source: str, name: str, stem: str, limit: int | None
) -> Source:
    if not capture.isOpened():
        capture.release()
        raise BadInputError(
            f"source={source}: OpenCV cannot open it as a video; it may be cut off, of an unknown "
            "codec, or not be there"
        )
    announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = capture.get(cv2.CAP_PROP_FPS)
    total = announced if announced > 0 else None
    expected = total if limit is None else min(limit, total or limit)
    return Source(
        stem,
        VideoFrames(capture, name, stem, total, limit),
        expected,
        fps if math.isfinite(fps) and fps > 0 else DEFAULT_FPS,
    )
