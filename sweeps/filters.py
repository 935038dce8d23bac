"""Filters by config values: `loss=huber seed=1,2 loss.alpha=0.5`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.frame import SHORT_NAMES
from sweeps.sections import SectionTable
from sweeps.state import RunState


def parse_filters(filters: Sequence[str]) -> dict[str, set[str]]:
    """Keys and the values that they may have.

    Raises:
        ValueError: a filter is not KEY=VALUE[,VALUE].
    """
    parsed = {}
    for each in filters:
        key, equals, values = each.partition("=")
        if not equals or not key or not values:
            raise ValueError(f"{each!r} is no filter: KEY=VALUE[,VALUE], such as loss=huber seed=1")
        parsed[key] = set(values.split(","))
    return parsed


def select(states: Sequence[RunState], filters: Sequence[str]) -> list[RunState]:
    """The runs whose frozen settings pass every filter; a run's name or id passes as `run=`.

    Raises:
        ValueError: a filter is malformed, or names a key that no run has.
    """
    wanted = parse_filters(filters)
    if not wanted:
        return list(states)
    table = SectionTable()
    leaves = [_leaves(state, table) for state in states]
    known = {name for each in leaves for name in each}
    for key in wanted:
        if states and not {key, f"{key}.name", SHORT_NAMES.get(key, key)} & known:
            close = ", ".join(sorted(name for name in known if key.split(".")[0] in name)[:20])
            raise ValueError(f"no run has a setting {key}; similar ones: {close or 'none'}")
    return [
        state
        for state, each in zip(states, leaves, strict=True)
        if all(_text(each, key) & values for key, values in wanted.items())
    ]


def _leaves(state: RunState, table: SectionTable) -> dict[str, Any]:
    name = state.run.path.name
    leaves: dict[str, Any] = {"run": name, "run_id": name.rsplit("-", 1)[-1]}
    for number in table.read(state.run.config.read_text(encoding="utf-8")):
        leaves |= table.sections[number].leaves
    return leaves


def _text(leaves: Mapping[str, Any], key: str) -> set[str]:
    """The ways in which a setting's value may be written; a section's is its name."""
    value = leaves.get(key, leaves.get(SHORT_NAMES.get(key, key), leaves.get(f"{key}.name")))
    if key == "run":
        return {str(value), str(leaves["run_id"])}
    if isinstance(value, bool):
        return {str(value).lower()}
    if isinstance(value, float):
        return {str(value), f"{value:g}"}
    if isinstance(value, int):
        return {str(value), f"{float(value)}"}
    return {"null" if value is None else str(value)}
