"""The files of one run: names, atomic writes, states. Standard library only.

Nothing else in the project spells these names; sweeps read runs through this module without
importing torch.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1


class State(StrEnum):
    """What status.json says of a run; the scheduler's view is joined in sweeps.state."""

    PLANNED = "planned"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    PREEMPTED = "preempted"
    FAILED = "failed"
    FINISHED = "finished"


class CorruptFileError(Exception):
    """A file of a run cannot be read as what it should be; the message names file and reason."""


@dataclass(frozen=True)
class RunDir:
    """Paths of a run's files; see the module's functions for reading and writing them."""

    path: Path

    @property
    def config(self) -> Path:
        """Resolved settings, frozen when the run was made; a job reads this and nothing later."""
        return self.path / "config.yaml"

    @property
    def run(self) -> Path:
        """Provenance: run_id, overrides, commit, seed, host, device, versions, attempts."""
        return self.path / "run.json"

    @property
    def status(self) -> Path:
        """State, iteration, total, images_per_second, eta_s, losses, heartbeat, reason."""
        return self.path / "status.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        return self.checkpoints / "last.pt"

    @property
    def best_checkpoint(self) -> Path:
        return self.checkpoints / "best.pt"

    @property
    def evaluation(self) -> Path:
        return self.path / "eval.json"

    @property
    def model_card(self) -> Path:
        return self.path / "model_card.md"

    @property
    def bbox_predictions(self) -> Path:
        return self.path / "predictions" / "bbox.json"

    @property
    def segm_predictions(self) -> Path:
        return self.path / "predictions" / "segm.json"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    def read_evaluation(self) -> dict[str, Any] | None:
        """eval.json, or None where there is none.

        Raises:
            CorruptFileError: it is there but not a complete evaluation of schema version 1.
        """
        if not self.evaluation.exists():
            return None
        evaluation = read_json(self.evaluation)
        version = evaluation.get("schema_version")
        if version != SCHEMA_VERSION:
            raise CorruptFileError(f"{self.evaluation}: schema_version={version}, expected 1")
        metrics = evaluation.get("metrics")
        if not isinstance(metrics, dict) or not {"bbox", "segm"} <= metrics.keys():
            raise CorruptFileError(f"{self.evaluation}: no metrics for bbox and segm")
        return evaluation

    def is_finished(self) -> bool:
        """Whether a complete eval.json stands in the folder."""
        try:
            return self.read_evaluation() is not None
        except CorruptFileError:
            return False


def find_runs(folder: Path) -> list[RunDir]:
    """All run folders at or under `folder`, sorted by path; a run is a folder with config.yaml."""
    folder = Path(folder)
    runs = []
    for directory, subdirectories, files in os.walk(folder):
        if "config.yaml" in files:
            runs.append(RunDir(Path(directory)))
            subdirectories.clear()
        else:
            subdirectories[:] = sorted(d for d in subdirectories if not d.startswith("."))
    return sorted(runs, key=lambda run: run.path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        CorruptFileError: the file is not a complete JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CorruptFileError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise CorruptFileError(f"{path}: a JSON object was expected, got {type(content).__name__}")
    return content


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; a NaN becomes null, since JSON has none."""
    write_bytes(path, (json.dumps(_finite(content), indent=1) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step: readers see the old bytes or the new ones, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append_jsonl(path: Path, record: dict[str, Any]) -> None:
    """Append one line to a JSON-lines file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(_finite(record)) + "\n")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a JSON-lines file; a last line cut off by a kill is left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def update_status(run: RunDir, **changes: Any) -> dict[str, Any]:
    """Merge changes into status.json and stamp the heartbeat (Unix time in seconds)."""
    try:
        status = read_json(run.status) if run.status.exists() else {}
    except CorruptFileError:
        status = {}
    status |= changes
    status["heartbeat"] = time.time()
    write_json(run.status, status)
    return status


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
