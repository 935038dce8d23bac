"""A rank's own error, left in the run's folder: to rank 0 it is but a closed connection."""

from __future__ import annotations

import json
from pathlib import Path

from yolactpp.run_dir import CorruptFileError, RunDir, read_json


def leave_failure(run: RunDir, rank: int, reason: str, message: str) -> None:
    """Say why a rank ends. The first rank to say so is the cause; what follows is kept out."""
    content = {"reason": reason, "message": f"rank {rank}: {message}"}
    try:
        with _file(run).open("x", encoding="utf-8") as file:
            file.write(json.dumps(content))
    except FileExistsError:
        return


def left_failure(run: RunDir) -> tuple[str, str] | None:
    """Reason and message of the first other rank that failed in this attempt, if one did."""
    if not _file(run).exists():
        return None
    try:
        content = read_json(_file(run))
        return str(content["reason"]), str(content["message"])
    except (CorruptFileError, KeyError):
        return None


def forget_failure(run: RunDir) -> None:
    """A new attempt starts; what an earlier one left says nothing of it."""
    _file(run).unlink(missing_ok=True)


def _file(run: RunDir) -> Path:
    return run.path / ".rank_failure.json"
