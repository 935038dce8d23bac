"""A folder of runs as a pandas frame: one row a run, configs beside metrics.

    frame = sweeps.collect(["outputs/table3"])
    frame[["loss", "alpha", "seed", "segm.AP"]]

Columns: `folder, name, run_id, setting, state, reason` (setting: the hash of everything but the
seed that can change a result), `loss, hybrid, alpha, beta, batch_size`, every leaf of the config by
its dotted name, every number of eval.json's metrics as `segm.AP` (fractions), `fps`, `iteration`.
`frame.attrs["problems"]` lists the files that could not be read, each with its reason.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.sections import SectionTable
from yolactpp.run_dir import CorruptFileError, RunDir, State, find_runs, read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

CACHE_VERSION = 1
CORRUPT = "corrupt"  # the state of a run whose files are there but cannot be read
NEEDED = ("loss.name", "batch_size.total")  # without these a run has no place in a table
Signature = list[list[int]]


@dataclass
class Record:
    """What the frame needs of one run, and the signature of the files that it was read from."""

    folder: str
    signature: Signature
    sections: list[int] = field(default_factory=list)
    state: str = State.PLANNED
    reason: str | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def collect(folders: Iterable[str | Path] | str | Path, *, cache: bool = True) -> pd.DataFrame:
    """Read all runs at or under the folders.

    A cache in the user's cache folder remembers what was read; a run is read again when the size or
    time of one of its files has changed.

    Raises:
        FileNotFoundError: a folder does not exist.
    """
    from sweeps.frame import build_frame  # pandas is loaded only by who wants a frame

    listed = [folders] if isinstance(folders, str | Path) else list(folders)
    table = SectionTable()
    records: list[Record] = []
    seen: set[str] = set()
    for folder in map(Path, listed):
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is no folder: give a sweep's or a run's folder")
        path = cache_file(folder) if cache else None
        known, table = _load_cache(path, table) if path and not records else ({}, table)
        found, changed = [], False
        place = str(folder.resolve())
        for run in find_runs(folder):
            name = place + str(run.path)[len(str(folder)) :]
            if name not in seen:
                seen.add(name)
                signature = _signature(run)
                record = known.get(str(run.path))
                if record is None or record.signature != signature:
                    record, changed = read_record(run, signature, table), True
                found.append(record)
        if path and not records and (changed or len(known) != len(found)):
            _save_cache(path, table, found)
        records.extend(found)
    return build_frame(records, table)


def cache_file(folder: Path) -> Path:
    """Where what was read under a folder is kept, out of the folder itself."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return root / "yolactpp" / f"collect-{digest}.json"


def read_record(run: RunDir, signature: Signature, table: SectionTable) -> Record:
    """Read one run; what cannot be read becomes a problem of the record, never an exception."""
    record = Record(str(run.path), signature)
    try:
        record.sections = table.read(run.config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        record.problems.append(f"{run.config}: {error}")
        record.state, record.reason = CORRUPT, "config.yaml"
        return record
    leaves = {name for number in record.sections for name in table.sections[number].leaves}
    missing = [name for name in NEEDED if name not in leaves]
    if missing:
        record.problems.append(f"{run.config}: no {', no '.join(missing)}")
        record.state, record.reason = CORRUPT, "config.yaml"
        return record
    try:
        evaluation = run.read_evaluation()
    except CorruptFileError as error:
        record.problems.append(str(error))
        record.state, record.reason = CORRUPT, "eval.json"
        return record
    if evaluation is not None:
        record.state = State.FINISHED
        record.metrics = numbers_of(evaluation)
    elif signature[2][1] >= 0:
        _read_status(run, record)
    return record


def numbers_of(evaluation: dict[str, Any]) -> dict[str, float | None]:
    """The numbers of an eval.json by dotted name, per-class ones left out."""
    numbers: dict[str, float | None] = {}
    for task, metrics in evaluation["metrics"].items():
        for name, value in metrics.items() if isinstance(metrics, dict) else ():
            if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
                numbers[f"{task}.{name}"] = value
    numbers["fps"] = (evaluation.get("speed") or {}).get("fps")
    numbers["iteration"] = evaluation.get("iteration")
    return numbers


def _read_status(run: RunDir, record: Record) -> None:
    try:
        status = read_json(run.status)
    except CorruptFileError as error:
        record.problems.append(str(error))
        record.state, record.reason = CORRUPT, "status.json"
        return
    record.state = str(status.get("state", State.PLANNED))
    record.reason = status.get("reason")
    if record.state == State.FINISHED:  # the result that it speaks of is not there
        record.state, record.reason = "incomplete", "no eval.json"


def _signature(run: RunDir) -> Signature:
    signature = []
    for path in (run.config, run.evaluation, run.status):
        try:
            stat = os.stat(path)  # noqa: PTH116 - thrice faster than Path.stat, 30,000 times
            signature.append([stat.st_mtime_ns, stat.st_size])
        except OSError:
            signature.append([0, -1])
    return signature


def _load_cache(path: Path, table: SectionTable) -> tuple[dict[str, Record], SectionTable]:
    if not path.exists():
        return {}, table
    try:
        content = read_json(path)
        if content["version"] != CACHE_VERSION:
            return {}, table
        records = {each["folder"]: Record(**each) for each in content["records"]}
        return records, SectionTable.from_json(content["sections"])
    except (CorruptFileError, KeyError, TypeError):
        return {}, table  # a cache of another version; it is written anew


def _save_cache(path: Path, table: SectionTable, records: list[Record]) -> None:
    content = {
        "version": CACHE_VERSION,
        "sections": table.as_json(),
        "records": [asdict(record) for record in records],
    }
    try:
        write_json(path, content)
    except OSError:
        return  # a cache folder that cannot be written costs time only
