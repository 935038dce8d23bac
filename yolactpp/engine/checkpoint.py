"""Checkpoint files: written atomically, read back, and the previous one kept.

`last.pt` is replaced only by bytes that were written, synced and read back; the file it replaces
stays beside it as `last.previous.pt`, so that a file damaged later still leaves a way back.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from yolactpp.engine.failures import CheckpointError

log = logging.getLogger(__name__)


def previous_of(path: Path) -> Path:
    """Where the checkpoint that `path` replaced is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save_checkpoint(path: Path, content: dict[str, Any], *, keep_previous: bool = True) -> None:
    """Write a checkpoint in one step; whatever goes wrong, the one before stays readable.

    Serialised in memory first, so that a full disk is an OSError with its errno and not an abort
    inside torch's writer.

    Raises:
        CheckpointError: the bytes could not be written or did not read back the same.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getbuffer()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_synced(temporary, payload)
        _check_read_back(temporary, payload)
        if keep_previous and path.exists():
            path.replace(previous_of(path))
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CheckpointError(
            f"{path} could not be written: {error.strerror or error}. The checkpoint before it is "
            "untouched; make room and start the same command again"
        ) from error


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """A checkpoint's content, checked against the checksums in its file.

    Raises:
        CheckpointError: missing, cut off, damaged or not a checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"{path} is damaged at {damaged}: checksum differs")
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist") from error
    except (
        OSError,
        zipfile.BadZipFile,
        RuntimeError,
        EOFError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read: {reason}") from error
    if not isinstance(content, dict) or "model" not in content:
        raise CheckpointError(f"{path} is no checkpoint of this project: it holds no `model`")
    return content


def load_latest(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """`path`, or with a warning the checkpoint it replaced; None where there never was one.

    Raises:
        CheckpointError: there are files, but none can be read.
    """
    problems = []
    for candidate in (path, previous_of(path)):
        if not candidate.exists():
            continue
        try:
            content = load_checkpoint(candidate, device)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            log.warning("%s; going on from %s", problem, candidate.name)
        return content
    if problems:
        raise CheckpointError(
            "; ".join(problems) + f". Remove {path.parent} to train from the start"
        )
    return None


def _write_synced(path: Path, payload: memoryview) -> None:
    with path.open("wb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())


def _check_read_back(path: Path, payload: memoryview) -> None:
    with path.open("rb") as file:
        written = hashlib.file_digest(file, "sha256").digest()
    if written != hashlib.sha256(payload).digest():
        raise OSError(None, "the bytes read back differ from those written")


def _sync_folder(folder: Path) -> None:
    """Make the renames durable; some file systems cannot sync a folder, and need not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
