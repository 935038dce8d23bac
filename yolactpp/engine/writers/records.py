"""What all writers tell: numbers of a record, a run's settings, its results."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from yolactpp.run_dir import RunDir

Settings = dict[str, Any]
RESULT_COLUMNS = ("metric", "bbox", "segm")


def split_record(record: dict[str, Any]) -> tuple[int, dict[str, float]]:
    """A record's iteration and its numbers."""
    values = {
        name: float(value)
        for name, value in record.items()
        if name != "iteration" and isinstance(value, int | float)
    }
    return int(record["iteration"]), values


def read_settings(folder: Path) -> Settings:
    """A run's frozen settings; empty where the folder is no run's."""
    path = RunDir(folder).config
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def flat(settings: Settings, prefix: str = "") -> dict[str, Any]:
    """Leaves by dotted name."""
    leaves: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def result_rows(document: dict[str, Any]) -> list[tuple[str, float | None, float | None]]:
    """Metric, box value and mask value of an eval.json, fractions; per-class ones left out."""
    bbox, segm = document["metrics"]["bbox"], document["metrics"]["segm"]
    return [
        (name, bbox.get(name), value)
        for name, value in segm.items()
        if value is None or isinstance(value, int | float)
    ]


def final_values(document: dict[str, Any]) -> dict[str, float]:
    """`final/segm_AP` and so on, and `final/fps`; what COCO leaves undefined is left out."""
    values: dict[str, float | None] = {}
    for name, bbox, segm in result_rows(document):
        values |= {f"final/bbox_{name}": bbox, f"final/segm_{name}": segm}
    values["final/fps"] = (document.get("speed") or {}).get("fps")
    return {name: float(value) for name, value in values.items() if value is not None}


def as_markdown(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A pipe table; None is an empty cell."""
    header = list(columns)
    lines = [header, ["---"] * len(header)]
    lines += [["" if value is None else str(value) for value in row] for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def imported(module: str, package: str, extra: str) -> ModuleType:
    """A logger's package.

    Raises:
        ImportError: it is not installed; the message says how it can be.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"logger needs the package {package}: pip install 'yolactpp-losses[{extra}]', "
            "or choose logger=jsonl"
        ) from error
