"""What a table is before it is written down: columns, rows, cells. Metrics are in percent."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

MEASURED = "measured"
PUBLISHED = "published"


@dataclass
class Cell:
    """One metric of one row: mean and sample deviation over the seeds that have it."""

    mean: float | None = None
    std: float | None = None
    best: bool = False
    mark: str = ""  # e.g. a statistical verdict's sign, set by who computes it


@dataclass
class Row:
    """One setting: its key columns, its metrics, and what became of its runs."""

    keys: dict[str, str]
    cells: dict[str, Cell]
    settings: tuple[str, ...] = ()  # the frame's `setting` of the runs behind the row
    n: int = 0  # finished runs behind the means
    state: str = ""  # "" when all runs are finished, else e.g. "1 failed (nan), 1 running"
    source: str = MEASURED
    remarks: dict[str, str] = field(default_factory=dict)  # text behind the metrics, by column


@dataclass
class Table:
    """A table; `keys` and `metrics` are its columns in order, `best_within` splits the contest."""

    name: str  # table1, table2, table3, readme
    title: str
    keys: list[str]
    metrics: list[str]
    rows: list[Row] = field(default_factory=list)
    best_within: str | None = None
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # columns of text behind the metrics

    @property
    def has_seeds(self) -> bool:
        """Whether some row is a mean over several seeds."""
        return any(row.n > 1 for row in self.rows if row.source == MEASURED)

    @property
    def has_gaps(self) -> bool:
        """Whether some run behind a row has no result."""
        return any(row.state for row in self.rows)

    @property
    def has_sources(self) -> bool:
        """Whether published rows stand beside the measured ones."""
        return any(row.source == PUBLISHED for row in self.rows)


def cell_of(values: list[float]) -> Cell:
    """Mean and sample standard deviation; no value gives an empty cell."""
    known = np.array([value for value in values if value is not None and np.isfinite(value)])
    if known.size == 0:
        return Cell()
    return Cell(float(known.mean()), float(known.std(ddof=1)) if known.size > 1 else None)


def mark_best(table: Table) -> None:
    """Mark each column's highest measured mean; what prints the same is equally good."""
    contests: dict[str, list[Row]] = {}
    for row in table.rows:
        if row.source == MEASURED:
            contests.setdefault(row.keys.get(table.best_within or "", ""), []).append(row)
    for rows in contests.values():
        for metric in table.metrics:
            shown = [(number_text(row.cells.get(metric)), row) for row in rows]
            values = [float(text) for text, _ in shown if text]
            for text, row in shown:
                if text and len(values) > 1 and float(text) == max(values):
                    row.cells[metric].best = True


def number_text(cell: Cell | None) -> str:
    """A cell's mean with two decimals; empty where there is none."""
    return "" if cell is None or cell.mean is None else f"{cell.mean:.2f}"
