"""The survey's published figures as table rows, matched to the losses' names here."""

from __future__ import annotations

import csv
from importlib import resources

from sweeps.table_model import PUBLISHED, Cell, Row, Table

TABLE2_LOSSES = {
    ("BCE", ""): "bce",
    ("HL", "1"): "huber",
    ("HL", "2"): "huber_d2",
    ("HL", "3"): "huber_d3",
    ("LCDL", ""): "log_cosh_dice",
    ("MSE", ""): "mse",
}
TABLE3_LOSSES = {"HL": "huber", "BCE": "bce", "MSE": "mse"}
README_LOSSES = {
    "BCE": "bce",
    "Dice": "dice",
    "Huber": "huber",
    "Log-Cosh-Dice": "log_cosh_dice",
    "MSE": "mse",
    "Log-Cosh-BCE": "log_cosh_bce",
    "Huber+BCE": "huber_bce",
    "Huber+MSE": "huber_mse",
    "BCE+MSE": "mse_bce",
}
PUBLISHED_TABLES = frozenset({"table1", "table2", "table3", "readme"})
TASKS = {"Detection": "bbox", "Segmentation": "segm"}


def published_rows(name: str) -> list[Row]:
    """The published rows of table1, table2, table3 or readme, in order; no others have any."""
    if name not in PUBLISHED_TABLES:
        return []
    file = "readme_table.csv" if name == "readme" else f"{name}.csv"
    text = (resources.files("sweeps") / "published" / file).read_text(encoding="utf-8")
    return [_row(name, record) for record in csv.DictReader(text.splitlines())]


def add_published(table: Table) -> None:
    """Put each published row under the last measured row of the same keys; the others follow."""
    published = {tuple(row.keys.values()): row for row in published_rows(table.name)}
    if not published:
        return
    names = list(next(iter(published.values())).keys)
    keys = [tuple(row.keys[name] for name in names) for row in table.rows]
    last = {key: place for place, key in enumerate(keys)}
    rows: list[Row] = []
    for place, row in enumerate(table.rows):
        rows.append(row)
        if last[keys[place]] == place and keys[place] in published:
            rows.append(published.pop(keys[place]))
    table.rows = rows + list(published.values())


def published_order(name: str) -> list[tuple[str, ...]]:
    """The key columns of the published rows, in order."""
    return [tuple(row.keys.values()) for row in published_rows(name)]


def _row(name: str, record: dict[str, str]) -> Row:
    if name == "table1":
        keys = {"batch_size": record.pop("batch_size"), "task": TASKS[record.pop("task")]}
    elif name == "table2":
        keys = {"loss": TABLE2_LOSSES[record.pop("loss"), record.pop("delta")]}
    elif name == "table3":
        first, second = TABLE3_LOSSES[record.pop("loss1")], TABLE3_LOSSES[record.pop("loss2")]
        keys = {
            "loss": f"{first}_{second}",
            "alpha": record.pop("alpha"),
            "beta": record.pop("beta"),
        }
    else:
        keys = {"loss": README_LOSSES[record.pop("loss")]}
    cells = {metric: Cell(float(value)) for metric, value in record.items()}
    return Row(keys, cells, source=PUBLISHED)
