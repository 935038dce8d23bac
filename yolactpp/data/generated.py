"""Generated data sets: made on first use, once, whole or not at all.

Makers take turns through a lock on a file beside the folder (the system frees it when its holder
dies), write into a temporary folder and rename it at the end. A folder whose marker file holds the
generator's settings is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from yolactpp.run_dir import CorruptFileError, read_json, write_json

MARKER = "generator.json"

log = logging.getLogger(__name__)


class Generator(Protocol):
    """What can make a data set."""

    def settings(self) -> dict[str, Any]:
        """Everything that decides the content, as JSON holds it."""
        ...

    def make(self, folder: Path) -> None:
        """Write the data set into an empty folder."""
        ...


def ensure_dataset(root: str | Path, generator: Generator) -> Path:
    """The folder that holds the generator's data set, made now if it is not there yet.

    That is `root` itself, or `root-HASH` where `root` already holds something else, such as the
    same generator's data set with other settings. Safe when several processes call it together.
    """
    root = Path(root)
    for folder in (root, _sibling(root, generator.settings())):
        if _holds(folder, generator.settings()):
            return folder
    root.parent.mkdir(parents=True, exist_ok=True)
    with _lock(root.with_name(f".{root.name}.lock")):
        folder = _sibling(root, generator.settings()) if root.exists() else root
        for candidate in (root, folder):
            if _holds(candidate, generator.settings()):
                return candidate
        log.info("making the data set %s", folder)
        _make(folder, generator)
    return folder


def _make(folder: Path, generator: Generator) -> None:
    """Into a temporary folder first; one that a killed maker left is removed."""
    temporary = folder.with_name(f".{folder.name}.part")
    for leftover in (temporary, folder):
        if leftover.exists():
            shutil.rmtree(leftover)
    temporary.mkdir()
    try:
        generator.make(temporary)
        write_json(temporary / MARKER, generator.settings())
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _sibling(root: Path, settings: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return root.with_name(f"{root.name}-{digest[:8]}")


def _holds(folder: Path, settings: dict[str, Any]) -> bool:
    try:
        return (folder / MARKER).exists() and read_json(folder / MARKER) == settings
    except CorruptFileError:
        return False


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
