"""The command line's overrides, split into what all runs share and what the sweep moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser

from sweeps.grid import Cell, GridError, Grids, with_overrides


@dataclass(frozen=True)
class SplitOverrides:
    """Overrides that every run gets as they stand, and axes: key -> values as override text."""

    shared: tuple[str, ...]
    axes: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Cells:
    """What all runs share and, for each run, its cell."""

    shared: tuple[str, ...]
    cells: tuple[Cell, ...]


def split_overrides(
    arguments: Sequence[str], swept_keys: set[str], loader: ConfigLoader | None = None
) -> SplitOverrides:
    """Sort overrides: a list of values, or a key that the sweep moves, is an axis.

    Raises:
        GridError: an override asks for an interval, which only a search can sample.
        hydra.errors.OverrideParseException: an override is not in Hydra's grammar.
    """
    parser = OverridesParser.create(config_loader=loader)
    shared: list[str] = []
    axes: dict[str, tuple[str, ...]] = {}
    for override in parser.parse_overrides(list(arguments)):
        key = override.get_key_element()
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise GridError(f"{override.input_line}: a grid needs values, not an interval")
            axes[key] = tuple(override.sweep_string_iterator())
        elif key in swept_keys:
            axes[key] = (override.get_value_element_as_str(),)
        else:
            shared.append(str(override.input_line))
    return SplitOverrides(tuple(shared), axes)


def expand(grids: Grids, arguments: Sequence[str], loader: ConfigLoader | None = None) -> Cells:
    """The sweep's cells under the command line's overrides."""
    split = split_overrides(arguments, grids.keys(), loader)
    return Cells(split.shared, tuple(with_overrides(grids, split.axes).cells()))
