"""Records of runs as a pandas frame, built by column so that ten thousand rows stay cheap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sweeps.sections import SectionTable

if TYPE_CHECKING:
    from sweeps.collect import Record

SHORT_NAMES = {
    "loss": "loss.name",
    "alpha": "loss.alpha",
    "beta": "loss.beta",
    "batch_size": "batch_size.total",
}


def build_frame(records: Sequence[Record], table: SectionTable) -> pd.DataFrame:
    """One row a record; `attrs["problems"]` holds all their problems."""
    columns: dict[str, Any] = {
        "folder": [record.folder for record in records],
        "name": [Path(record.folder).name for record in records],
        "run_id": [record.folder.rsplit("-", 1)[-1] for record in records],
        "setting": _settings(records, table),
        "state": [str(record.state) for record in records],
        "reason": [record.reason for record in records],
    }
    config = _config_columns(records, table)
    for short, name in SHORT_NAMES.items():
        columns[short] = config.get(name, np.full(len(records), None, dtype=object))
    columns["hybrid"] = _has_prefix(records, table, "loss.first.")
    columns |= {name: values for name, values in config.items() if name not in columns}
    columns |= _metric_columns(records)
    frame = pd.DataFrame(columns)
    for name in ("alpha", "beta", "batch_size", "seed"):
        if name in frame:
            frame[name] = pd.to_numeric(frame[name], errors="coerce")
    frame.attrs["problems"] = [problem for record in records for problem in record.problems]
    return frame


def _settings(records: Sequence[Record], table: SectionTable) -> list[str]:
    known: dict[tuple[int, ...], str] = {}
    for record in records:
        numbers = tuple(record.sections)
        if numbers not in known:
            known[numbers] = table.setting(numbers)
    return [known[tuple(record.sections)] for record in records]


def _config_columns(records: Sequence[Record], table: SectionTable) -> dict[str, np.ndarray]:
    """Leaf by dotted name; each section's variants are spread over the rows by their numbers."""
    keys = list(dict.fromkeys(section.key for section in table.sections))
    chosen = {key: np.full(len(records), -1) for key in keys}
    for row, record in enumerate(records):
        for number in record.sections:
            chosen[table.sections[number].key][row] = number
    columns: dict[str, np.ndarray] = {}
    for key in keys:
        variants = np.unique(chosen[key])
        names = dict.fromkeys(n for v in variants if v >= 0 for n in table.sections[v].leaves)
        places = np.searchsorted(variants, chosen[key])
        for name in names:
            values = np.empty(len(variants), dtype=object)
            for place, variant in enumerate(variants):
                values[place] = table.sections[variant].leaves.get(name) if variant >= 0 else None
            columns[name] = values[places]
    return columns


def _has_prefix(records: Sequence[Record], table: SectionTable, prefix: str) -> list[bool]:
    having = {
        number
        for number, section in enumerate(table.sections)
        if any(name.startswith(prefix) for name in section.leaves)
    }
    return [not having.isdisjoint(record.sections) for record in records]


def _metric_columns(records: Sequence[Record]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for record in records for name in record.metrics)
    return {
        name: np.array([record.metrics.get(name) for record in records], dtype=np.float64)
        for name in names
    }
