"""A copy of the source at submission: jobs that wait are not changed by later edits.

The copy lies in the sweep's hidden folder under the hash of its content, so that submissions of
unchanged code share it. Jobs find it first on PYTHONPATH.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("conf", "losses", "sweeps", "yolactpp")
SUFFIXES = (".py", ".yaml", ".csv", ".html")


def take_snapshot(hidden: Path) -> Path:
    """Copy the packages to HIDDEN/code/HASH, unless that is there already; the folder."""
    files = sorted(_source_files())
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    folder = hidden / "code" / digest.hexdigest()[:12]
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    prepared = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    prepared.chmod(0o755)
    for name, path in files:
        (prepared / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, prepared / name)
    try:
        prepared.rename(folder)
    except OSError:  # another submission was faster
        shutil.rmtree(prepared)
        if not folder.exists():
            raise
    return folder


def job_environment(snapshot: Path) -> dict[str, str]:
    """Variables that make Python import the snapshot, whatever the working directory holds."""
    before = os.environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": f"{snapshot}{os.pathsep}{before}" if before else str(snapshot),
        "PYTHONSAFEPATH": "1",
    }


def _source_files() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        spec = find_spec(package)  # finds without importing: losses would import torch
        assert spec is not None
        root = Path(next(iter(spec.submodule_search_locations or ())))
        for path in root.rglob("*"):
            if path.suffix in SUFFIXES and path.is_file():
                yield f"{package}/{path.relative_to(root)}", path
