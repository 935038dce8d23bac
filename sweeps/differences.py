"""What tells settings apart beyond a table's own columns, so that unlike runs are never one row."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from yolactpp.identity import DATASET_PATHS, MACHINE_ONLY

LOSS_COLUMNS = frozenset({"loss.name", "loss.alpha", "loss.beta"})
# Columns of a frame that are about the run, not settings of it.
ABOUT_RUN = frozenset({"folder", "name", "run_id", "setting", "state", "reason"})
SHORT = frozenset({"loss", "alpha", "beta", "batch_size", "hybrid"})


def differing_columns(settings: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Config columns that differ between rows in a way that the key columns do not explain.

    Of a group with a name (dataset, protocol) the name stands for all its keys; what differs under
    one name is listed by key. The loss and the batch size are explained by the columns that hold
    them: their keys are listed only where rows of the same key columns differ in them.

    Args:
        settings: one row a distinct setting, with the frame's columns.
        keys: the table's key columns that are columns of the frame.
    """
    found: list[str] = []
    for section, columns in _sections(settings).items():
        within: list[str] = []
        if section == "loss":
            within = [key for key in ("loss", "alpha", "beta") if key in settings]
        elif section == "batch_size":
            within = ["batch_size"]
            if "batch_size" not in keys and _varies(settings["batch_size"]):
                found.append("batch_size")
        elif f"{section}.name" in columns and _varies(settings[f"{section}.name"]):
            found.append(f"{section}.name")
            within = [f"{section}.name"]
        found.extend(
            column
            for column in columns
            if column != f"{section}.name" and _varies_within(settings, column, within)
        )
    return found


def header(column: str) -> str:
    """How a config column is called in a table: `protocol.name` is `protocol`."""
    return column.removesuffix(".name")


def _sections(settings: pd.DataFrame) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    for column in map(str, settings.columns):
        section, _, rest = column.partition(".")
        ignored = (
            section in MACHINE_ONLY
            or section in {"seed", "segm", "bbox", "fps", "iteration"}
            or (section == "dataset" and rest.split(".")[0] in DATASET_PATHS)
            or column in LOSS_COLUMNS
            or column == "batch_size.total"
            or (not rest and column in ABOUT_RUN | SHORT)
        )
        if not ignored:
            sections.setdefault(section, []).append(column)
    return sections


def _varies_within(settings: pd.DataFrame, column: str, within: Sequence[str]) -> bool:
    if not _varies(settings[column]):
        return False
    if not within:
        return True
    groups = settings.groupby(list(within), dropna=False, sort=False)[column]
    return any(_varies(values) for _, values in groups)


def _varies(values: pd.Series) -> bool:
    return values.map(repr).nunique() > 1
