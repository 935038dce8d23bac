"""What `source=` can be: an image, a folder, a pattern, a video, a camera, a COCO file."""

from __future__ import annotations

from pathlib import Path

from yolactpp.engine.failures import BadInputError
from yolactpp.prediction.frames import Source
from yolactpp.prediction.image_files import (
    PATTERN,
    open_coco,
    open_folder,
    open_image,
    open_pattern,
)
from yolactpp.prediction.video import SUFFIXES as VIDEO_SUFFIXES
from yolactpp.prediction.video import open_camera, open_stream, open_video


def open_source(source: str, *, images: Path | None = None, frames: int | None = None) -> Source:
    """Find out what a source is, and open it.

    A file or folder of that name comes first; then digits are a camera's number, `://` makes a
    stream and `*`, `?` or `[` a pattern.

    Args:
        source: as typed.
        images: folder of a COCO file's images; None looks for it.
        frames: frames of a video to read at most; None reads all.

    Raises:
        BadInputError: there is nothing of that name, or no image in it.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return open_folder(path)
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix == ".json":
            return open_coco(path, images)
        return open_video(path, frames) if suffix in VIDEO_SUFFIXES else open_image(path)
    if source.isdigit():
        return open_camera(int(source), frames)
    if "://" in source:
        return open_stream(source, frames)
    if PATTERN & set(source):
        return open_pattern(str(path))
    raise BadInputError(
        f"source={source}: there is no such file or folder. Give an image, a folder, a pattern "
        "such as 'photos/*.jpg', a video, a camera's number or a COCO file"
    )
