"""The cells of a sweep: lists of grids, zipped parameters, excluded cells.

A sweep file holds, under `sweep.grids`, a list of grids. A grid maps a key to its values and stands
for their product; a key of several names, `"loss.alpha,loss.beta": [[1, 1], [2, 1]]`, moves them
together. `sweep.exclude` lists cells to leave out: `{loss: mse_huber, loss.alpha: 3}` leaves out
every cell that has these values. Values become the text of Hydra overrides, so that what a file
says and what a command line says are the same thing.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yolactpp.option_names import quote_numbers

Cell = dict[str, str]  # key -> value, both as they stand in a Hydra override
PLAIN_TEXT = re.compile(r"(?!(?i:true|false|null|nan|inf)$)[A-Za-z_][\w./-]*")


class GridError(ValueError):
    """A sweep's grids are not what they should be; the message names the place and the mend."""


@dataclass(frozen=True)
class Axis:
    """Keys that move together and the tuples of values that they take."""

    keys: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Grids:
    """A sweep's grids after the command line has had its say."""

    grids: tuple[tuple[Axis, ...], ...]
    exclude: tuple[Cell, ...] = field(default=())

    def cells(self) -> list[Cell]:
        """Every cell once, in the order of the file, without the excluded ones."""
        found: dict[tuple[tuple[str, str], ...], Cell] = {}
        for axes in self.grids:
            for cell in _product(axes):
                if not any(_matches(cell, excluded) for excluded in self.exclude):
                    found.setdefault(tuple(sorted(cell.items())), cell)
        return list(found.values())

    def keys(self) -> set[str]:
        """Every key that some grid moves."""
        return {key for axes in self.grids for axis in axes for key in axis.keys}


def parse_grids(
    grids: Sequence[Mapping[str, Any]], exclude: Sequence[Mapping[str, Any]] = ()
) -> Grids:
    """Read the `grids` and `exclude` of a sweep file.

    Raises:
        GridError: a grid is no mapping, a value list is empty, or a zipped row is too short.
    """
    parsed = []
    for number, grid in enumerate(grids):
        if not isinstance(grid, Mapping):
            raise GridError(f"sweep.grids[{number}]={grid!r}: a mapping of keys to values is meant")
        parsed.append(tuple(_axis(key, values, number) for key, values in grid.items()))
    excluded = tuple({key: override_text(value) for key, value in cell.items()} for cell in exclude)
    return Grids(tuple(parsed), excluded)


def with_overrides(grids: Grids, overrides: Mapping[str, Sequence[str]]) -> Grids:
    """Let values from the command line replace or extend the axes of the grids.

    A key that a grid moves gets the new values there (and leaves its zip). A key that no grid moves
    becomes one more axis of all. A parameter of a swept group, `loss.alpha` where `loss` is swept,
    changes only the grids that move it: the others have no such parameter.
    """
    moved = grids.keys()
    changed = []
    for axes in grids.grids:
        keys = {key for axis in axes for key in axis.keys}
        for key, values in overrides.items():
            group = key.lstrip("+").split(".")[0]
            is_foreign_parameter = group != key and group in keys and key in moved - keys
            if not is_foreign_parameter:
                axes = (*_without(axes, key), Axis((key,), tuple((value,) for value in values)))
        changed.append(axes)
    return Grids(tuple(changed), grids.exclude)


def overrides_of(cell: Cell) -> list[str]:
    """The Hydra overrides that make a cell."""
    return quote_numbers(f"{key}={value}" for key, value in cell.items())


def override_text(value: Any) -> str:
    """A value as Hydra's override grammar writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{override_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        if PLAIN_TEXT.fullmatch(value):
            return value
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, Iterable):
        return "[" + ",".join(override_text(each) for each in value) + "]"
    raise GridError(f"{value!r} of type {type(value).__name__} has no form as an override")


def _axis(key: str, values: Any, number: int) -> Axis:
    keys = tuple(part.strip() for part in str(key).split(","))
    rows = list(values) if _is_list(values) else [values]
    if not rows:
        raise GridError(f"sweep.grids[{number}].{key} has no values")
    if len(keys) == 1:
        return Axis(keys, tuple((override_text(value),) for value in rows))
    for row in rows:
        if not _is_list(row) or len(row) != len(keys):
            raise GridError(
                f"sweep.grids[{number}].{key!r}: {row!r} should be a list of {len(keys)} values"
            )
    return Axis(keys, tuple(tuple(override_text(value) for value in row) for row in rows))


def _is_list(values: Any) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str | Mapping)


def _without(axes: Sequence[Axis], key: str) -> tuple[Axis, ...]:
    kept = []
    for axis in axes:
        if key not in axis.keys:
            kept.append(axis)
        elif len(axis.keys) > 1:
            places = [i for i, name in enumerate(axis.keys) if name != key]
            rows = dict.fromkeys(tuple(row[i] for i in places) for row in axis.values)
            kept.append(Axis(tuple(axis.keys[i] for i in places), tuple(rows)))
    return tuple(kept)


def _product(axes: Sequence[Axis]) -> Iterable[Cell]:
    for rows in itertools.product(*(axis.values for axis in axes)):
        yield {
            key: value
            for axis, row in zip(axes, rows, strict=True)
            for key, value in zip(axis.keys, row, strict=True)
        }


def _matches(cell: Cell, excluded: Cell) -> bool:
    return all(cell.get(key) == value for key, value in excluded.items())
