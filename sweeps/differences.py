"""What tells settings apart beyond a table's own columns, so that unlike runs are never one row."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from yolactpp.identity import DATASET_PATHS, MACHINE_ONLY

LOSS_COLUMNS = frozenset({"loss.name", "loss.alpha", "loss.beta"})
EXPLAINED_BY = {"loss": ("loss", "alpha", "beta"), "batch_size": ("batch_size",)}
# A model family brings class and box losses of its own: its name explains them.
BROUGHT_BY_MODEL = frozenset({"class_loss.name", "box_loss.name"})
ALWAYS_SHOWN = frozenset({"schedule.iterations", "schedule.lr"})
# Columns of a frame that are about the run, not settings of it.
ABOUT_RUN = frozenset({"folder", "name", "run_id", "setting", "state", "reason"})
SHORT = frozenset({"loss", "alpha", "beta", "batch_size", "hybrid"})


def differing_columns(settings: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Config columns that differ between rows in a way that other columns do not explain.

    Where groups with a name differ (dataset, model, protocol) their names are listed, and explain
    what else differs with them: other sections take values over from them. The loss and the batch
    size are explained by the columns that hold them. Iterations and learning rate, which no name
    excuses, are listed whenever they differ.

    Args:
        settings: one row a distinct setting, with the frame's columns.
        keys: the table's key columns that are columns of the frame.
    """
    sections = _sections(settings)
    names = [
        f"{section}.name"
        for section, columns in sections.items()
        if f"{section}.name" in columns and _varies(settings[f"{section}.name"])
    ]
    if "model.name" in names:
        names = [
            name
            for name in names
            if name not in BROUGHT_BY_MODEL or _varies_within(settings, name, ["model.name"])
        ]
    found = [*names]
    if "batch_size" not in keys and _varies(settings["batch_size"]):
        found.append("batch_size")
    for section, columns in sections.items():
        within = [*names, *EXPLAINED_BY.get(section, ())]
        found.extend(
            column
            for column in columns
            if column not in found
            and _varies_within(settings, column, [] if column in ALWAYS_SHOWN else within)
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
