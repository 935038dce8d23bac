"""Tables I, II, III and the README table from a frame of runs.

Runs of one setting (everything that can change a result but the seed) are one row. Table I shows
a loss over its batch sizes; Table II the single losses and Table III the hybrids at the batch size
that most losses share. A loss that has no run at that batch size stays in its table, and a column
says so: whatever settings differ beyond a table's columns become columns of their own. Where a
sweep moved something else, a table of swept settings follows (`sweeps.swept_table`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from sweeps.differences import differing_columns, header
from sweeps.published_rows import published_order
from sweeps.swept_table import SWEPT, has_swept, swept_columns
from sweeps.table_model import Row, Table, cell_of, mark_best
from yolactpp.run_dir import State

THRESHOLDS = [f"AP{threshold}" for threshold in range(50, 100, 5)]
BASELINE = "bce"
Specification = tuple[str, list[str], list[str]]  # title, key columns, metrics
SPECIFICATIONS: dict[str, Specification] = {
    "table1": ("Table I: batch sizes", ["batch_size", "task"], ["mAP", "AP50", "AP75", "AP95"]),
    "table2": (
        "Table II: single losses (segm)",
        ["loss"],
        ["mAP", "AP50", "AP55", "AP65", "AP75", "AP95"],
    ),
    "table3": (
        "Table III: hybrid losses (segm)",
        ["loss", "alpha", "beta"],
        ["mAP", "AP50", "AP65", "AP75", "AP95"],
    ),
    "readme": ("All losses (segm)", ["loss"], ["fps", "mAP", *THRESHOLDS]),
}


def build_tables(frame: pd.DataFrame, names: Sequence[str] | None = None) -> list[Table]:
    """The named tables, best cells marked; a table without rows is still there.

    Without names all of SPECIFICATIONS, and that of swept settings where there are any.
    """
    frame = frame[frame["loss"].notna() & frame["batch_size"].notna()]
    settings = frame.drop_duplicates("setting")
    if names is None:
        names = [*SPECIFICATIONS, *([SWEPT] if has_swept(settings) else [])]
    chosen = {
        "table1": _batch_size_rows(settings),
        "table2": _reference_rows(settings, hybrid=False),
        "table3": _reference_rows(settings, hybrid=True),
    }
    chosen["readme"] = pd.concat([chosen["table2"], chosen["table3"]])
    chosen[SWEPT] = settings
    kept, specifications, notes = one_run_a_seed(frame), dict(SPECIFICATIONS), {}
    if SWEPT in names:
        kept, specifications[SWEPT], notes[SWEPT] = swept_columns(kept, settings)
    runs = {str(setting): group for setting, group in kept.groupby("setting", sort=False)}
    tables = [_table(name, specifications[name], chosen[name], runs) for name in names]
    for table in tables:
        table.notes.extend(notes.get(table.name, []))
        mark_best(table)
    return tables


def one_run_a_seed(frame: pd.DataFrame) -> pd.DataFrame:
    """Of several runs with one setting and seed keep one, a finished one if there is any."""
    if "seed" not in frame:
        return frame.assign(seed=float("nan"))
    finished_first = (frame["state"] != State.FINISHED).sort_values(kind="stable").index
    kept = frame.loc[finished_first].drop_duplicates(["setting", "seed"])
    return kept.sort_index()


def _batch_size_rows(settings: pd.DataFrame) -> pd.DataFrame:
    """The settings of every loss that has several batch sizes; of the baseline where none has."""
    sizes = settings.groupby(_loss_key(settings), sort=False)["batch_size"].transform("nunique")
    chosen = settings[sizes > 1]
    if chosen.empty:
        chosen = settings[(settings["loss"] == BASELINE) & ~settings["hybrid"]]
    return chosen.sort_values(["loss", "batch_size"], kind="stable")


def _reference_rows(settings: pd.DataFrame, *, hybrid: bool) -> pd.DataFrame:
    """The settings at the batch size that most losses share, and of losses that lack it."""
    if settings.empty:
        return settings
    key = _loss_key(settings)
    per_size = key.groupby(settings["batch_size"]).nunique()
    reference = max(per_size.index, key=lambda size: (per_size[size], size))
    at_reference = settings["batch_size"] == reference
    lacking = ~key.isin(key[at_reference])
    return settings[(settings["hybrid"] == hybrid) & (at_reference | lacking)]


def _loss_key(settings: pd.DataFrame) -> pd.Series:
    alpha, beta = settings["alpha"].map(plain), settings["beta"].map(plain)
    return settings["loss"] + " " + alpha + " " + beta


def _table(
    name: str, specification: Specification, settings: pd.DataFrame, runs: dict[str, pd.DataFrame]
) -> Table:
    title, keys, metrics = specification
    explained = ["loss", "alpha", "beta"] if name == "readme" else keys
    extra = differing_columns(settings, explained) if len(settings) > 1 else []
    if name == "table1" and settings["loss"].nunique() > 1:
        extra = ["loss.name", *extra]
    table = Table(name, title, [*keys, *map(header, extra)], metrics)
    table.best_within = "task" if name == "table1" else None
    for _, setting in settings.iterrows():
        for task in ("bbox", "segm") if name == "table1" else ("segm",):
            own = {key: _key_text(name, key, setting, task) for key in keys}
            own |= {header(column): plain(setting[column]) for column in extra}
            table.rows.append(_row(own, metrics, task, runs[str(setting["setting"])]))
    order = {key: place for place, key in enumerate(published_order(name))}
    leading = table.keys if name == SWEPT else keys
    table.rows.sort(key=lambda row: _sort_key(row, leading, order))
    return table


def _row(keys: dict[str, str], metrics: Sequence[str], task: str, runs: pd.DataFrame) -> Row:
    finished = runs[runs["state"] == State.FINISHED]
    cells = {}
    for metric in metrics:
        column = "fps" if metric == "fps" else f"{task}.{metric.replace('mAP', 'AP')}"
        values = list(finished[column]) if column in finished else []
        cells[metric] = cell_of([v if metric == "fps" else 100 * v for v in values])
    return Row(
        keys, cells, tuple(runs["setting"].unique()), n=len(finished), state=_state_text(runs)
    )


def _state_text(runs: pd.DataFrame) -> str:
    """What became of the runs without a result: `1 failed (nan), 2 running`."""
    states: Counter[str] = Counter()
    for state, reason in zip(runs["state"], runs["reason"], strict=True):
        if state != State.FINISHED:
            states[f"{state} ({reason})" if isinstance(reason, str) and reason else state] += 1
    if not states:
        return ""
    if len(runs) == 1:
        return next(iter(states))
    return ", ".join(f"{count} {state}" for state, count in states.items())


def _key_text(name: str, key: str, setting: pd.Series, task: str) -> str:
    if key == "task":
        return task
    if name == "readme" and setting["hybrid"] and (setting["alpha"], setting["beta"]) != (1, 1):
        beta = "" if setting["beta"] == 1 else f"-be{plain(setting['beta'])}"
        return f"{setting['loss']}-a{plain(setting['alpha'])}{beta}"
    return plain(setting[key])


def plain(value: object) -> str:
    """A setting's value as a reader writes it: 16 for 16.0, nothing for a missing one."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sort_key(row: Row, keys: Sequence[str], order: dict[tuple[str, ...], int]) -> tuple:
    own = tuple(row.keys[key] for key in keys)
    as_numbers = tuple((0, float(k), "") if _is_number(k) else (1, 0.0, k) for k in own)
    return (order.get(own, len(order)), as_numbers)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
