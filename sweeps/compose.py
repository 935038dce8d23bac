"""Composing the settings of many runs: one full composition a choice of options, then plain values.

A full composition takes Hydra a tenth of a second. Runs that choose the same options differ in
plain values only, such as `loss.alpha=0.5` or `seed=3`; such a value is set in a copy of the
composed settings, unless another setting refers to it or it is no plain value: then the run is
composed in full. Both ways give the same settings, which a test compares.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweeps.grid import Cell, overrides_of
from yolactpp.cli import describe
from yolactpp.settings import unknown_key

REFERENCE = re.compile(r"\$\{([^${}]*)")
PLAIN = (int, float, str, bool, type(None))
Settings = dict[str, Any]


class ComposeError(ValueError):
    """Settings that do not compose; the message says what was wrong and lists the good names."""


@dataclass(frozen=True)
class Composed:
    """Resolved settings and the names that some setting refers to."""

    settings: Settings
    references: frozenset[str]
    pickled: bytes  # the settings once more: unpickling is the fastest deep copy


class Composer:
    """Composes from the package `conf`, for use in a `with` statement.

    Args:
        root: name of the root config.
    """

    def __init__(self, root: str = "train") -> None:
        self.root = root
        self._stack = ExitStack()
        self._composed: dict[tuple[str, ...], Composed] = {}
        self._groups: dict[str, bool] = {}
        self._parsed: dict[str, Override] = {}

    def __enter__(self) -> Self:
        self._stack.enter_context(initialize_config_module("conf", version_base="1.3"))
        self.loader = GlobalHydra.instance().config_loader()
        self._parser = OverridesParser.create(config_loader=self.loader)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        """Overrides in Hydra's grammar.

        Raises:
            ComposeError: one of them is not.
        """
        new = [each for each in overrides if each not in self._parsed]
        try:
            self._parsed |= zip(new, self._parser.parse_overrides(new), strict=True)
            return [self._parsed[each] for each in overrides]
        except HydraException as error:
            raise ComposeError(" ".join(str(error).split())) from error

    def is_group(self, key: str) -> bool:
        """Whether a key chooses an option of a group, `loss@loss.first` included."""
        group = key.split("@")[0]
        if group not in self._groups:
            parent, _, name = group.rpartition("/")
            self._groups[group] = name in self.loader.list_groups(parent)
        return self._groups[group]

    def full(self, overrides: Sequence[str], *, hydra: bool = False) -> DictConfig:
        """The composed config, interpolations unresolved.

        Raises:
            ComposeError: an override, an option or a file is wrong.
        """
        try:
            return compose(self.root, list(overrides), return_hydra_config=hydra)
        except (HydraException, OmegaConfBaseException) as error:
            raise ComposeError(self._describe(error, overrides)) from error

    def settings(self, shared: Sequence[str], cell: Cell) -> Settings:
        """A run's resolved settings: what all runs share and the cell of this one."""
        overrides = self.parse(overrides_of(cell))
        choices = [each for each in overrides if self.is_group(each.key_or_group)]
        values = [each for each in overrides if each not in choices]
        base = self._base((*shared, *(str(each.input_line) for each in choices)))
        if not all(_can_be_set(base, each) for each in values):
            return self._resolved(self.full([*shared, *overrides_of(cell)])).settings
        settings: Settings = pickle.loads(base.pickled)
        for each in values:
            _set(settings, each.key_or_group, each.value())
        return settings

    def _base(self, overrides: tuple[str, ...]) -> Composed:
        if overrides not in self._composed:
            self._composed[overrides] = self._resolved(self.full(overrides))
        return self._composed[overrides]

    def _resolved(self, config: DictConfig) -> Composed:
        references = frozenset(_references(OmegaConf.to_container(config, resolve=False)))
        try:
            settings = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        except OmegaConfBaseException as error:
            raise ComposeError(" ".join(str(error).split())) from error
        assert isinstance(settings, dict)
        named = {str(key): value for key, value in settings.items()}
        return Composed(named, references, pickle.dumps(named))

    def _describe(self, error: Exception, overrides: Sequence[str]) -> str:
        """What was wrong, the good names, and in which run."""
        if isinstance(error, MissingConfigException):
            return describe(error, self.root)
        message = " ".join(str(error).split())
        misspelt = re.match(r"Could not override '([^']+)'", message)
        if misspelt:
            parent, _, _ = misspelt.group(1).rpartition(".")
            node = OmegaConf.select(compose(self.root), parent) if parent else compose(self.root)
            if OmegaConf.is_dict(node):
                names = [f"{parent}.{name!s}".lstrip(".") for name in node]
                message = unknown_key(misspelt.group(1), names)
        return f"{' '.join(overrides)}: {message}"


def _references(node: Any) -> Iterable[str]:
    """Every dotted name, absolute or relative, that an interpolation mentions."""
    if isinstance(node, dict):
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)
    elif isinstance(node, str) and "${" in node:
        for inner in REFERENCE.findall(node):
            yield from re.findall(r"[\w.@/-]+", inner)
        if node.count("${") > 1:  # one inside the other may spell any name
            yield from re.findall(r"[\w.@/-]+", node)


def _can_be_set(base: Composed, override: Override) -> bool:
    """Whether setting one leaf of the resolved settings is all that this override would do."""
    key, value = override.key_or_group, override.value()
    if override.type is not OverrideType.CHANGE or override.package is not None:
        return False
    if not isinstance(value, PLAIN) or (isinstance(value, str) and "${" in value):
        return False
    node: Any = base.settings
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return isinstance(node, PLAIN) and not any(_meets(name, key) for name in base.references)


def _meets(reference: str, key: str) -> bool:
    if reference.startswith("."):  # relative: compared by its last name, to be on the safe side
        return reference.split(".")[-1] in key.split(".")
    return reference == key or key.startswith(f"{reference}.") or reference.startswith(f"{key}.")


def _set(settings: Settings, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for part in parents:
        settings = settings[part]
    settings[last] = value
