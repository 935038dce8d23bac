"""Generated data sets: made on first use, once, whole or not at all.

Makers take turns through a lock on a file beside the folder (the system frees it when its holder
dies), write into a temporary folder and rename it at the end. A folder whose marker file holds the
generator's settings is complete. Which folder that is, `yolactpp.identity.dataset_root` decides.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from yolactpp.data.annotation_file import DatasetError
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
    """The folder `root` with the generator's data set in it, made now if it is not there yet.

    Safe when several processes call it together.

    Raises:
        DatasetError: the folder holds something else, which is left alone.
    """
    root = Path(root)
    if _holds(root, generator.settings()):
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with _lock(root.with_name(f".{root.name}.lock")):
        if _holds(root, generator.settings()):
            return root
        if root.exists():
            raise DatasetError(
                f"{root} holds something else than the data set of these settings: move it away, "
                "or set dataset.root"
            )
        log.info("making the data set %s", root)
        _make(root, generator)
    return root


def _make(folder: Path, generator: Generator) -> None:
    """Into a temporary folder first; one that a killed maker left is removed."""
    temporary = folder.with_name(f".{folder.name}.part")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir()
    try:
        generator.make(temporary)
        write_json(temporary / MARKER, generator.settings())
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


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
