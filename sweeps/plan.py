"""A sweep's runs before anything is queued: composed, checked, named.

    plan = sweeps.plan("table3", ["seed=0,1,2", "hydra/launcher=slurm_1gpu"])
    [run.folder for run in plan.runs]

Planning writes nothing. `sweeps.submit.submit(plan)` freezes and queues the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.grid import Cell, overrides_of, parse_grids
from sweeps.resources import Resources, spelled_out
from yolactpp.engine.failures import BadInputError
from yolactpp.frozen_run import freeze_run, with_fingerprints
from yolactpp.identity import folder_name
from yolactpp.option_names import quote_numbers
from yolactpp.run_dir import RunDir

LAUNCHER = "hydra.launcher."
# Options that know every key of an executor.
LAUNCHER_OF = {"slurm": "slurm_1gpu", "local": "local"}

if TYPE_CHECKING:
    from sweeps.compose import Composer


@dataclass(frozen=True)
class PlannedRun:
    """One run: where it will be, its resolved settings, and the overrides that made them."""

    folder: Path
    config: dict[str, Any]
    overrides: list[str]

    def freeze(self) -> RunDir:
        """Make the run's folder with its frozen config.yaml; nothing happens if it is there."""
        return freeze_run(self.config, self.overrides)


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep, each once, and the resources that each gets."""

    name: str
    folder: Path
    runs: list[PlannedRun]
    resources: Resources
    arguments: list[str]


def plan(sweep: str | None = None, overrides: Sequence[str] = ()) -> Plan:
    """Expand and compose a sweep.

    Args:
        sweep: an option of conf/sweep; None for the overrides alone.
        overrides: as on the command line; a list of values (`seed=0,1,2`) is one more axis.

    Raises:
        ValueError: the sweep, an override or a setting is wrong; the message says which.
        FileNotFoundError: the data set's annotation files are missing.
    """
    from sweeps.compose import Composer  # Hydra is loaded only by who plans

    arguments = spelled_out(quote_numbers(overrides))
    if sweep is not None:
        arguments = [f"+sweep={sweep}", *arguments]
    with Composer() as composer:
        return _plan(composer, arguments)


def base_settings(overrides: Sequence[str]) -> dict[str, Any]:
    """The resolved settings of one set of overrides."""
    from sweeps.compose import Composer

    with Composer() as composer:
        return composer.settings(tuple(quote_numbers(overrides)), {})


def plan_run(overrides: Sequence[str]) -> PlannedRun:
    """One run.

    Raises:
        ValueError: an override or a setting is wrong; the message says which.
    """
    from sweeps.compose import Composer

    with Composer() as composer:
        return _planned_run(composer, tuple(quote_numbers(overrides)), {})


def plan_resources(overrides: Sequence[str]) -> Resources:
    """The resources that a `hydra/launcher` choice and its keys describe."""
    from sweeps.compose import Composer

    with Composer() as composer:
        base = composer.full(spelled_out(list(overrides)), hydra=True)
        return Resources.from_launcher(_launcher(base.hydra.launcher))


def changed_resources(overrides: Sequence[str]) -> Callable[[Resources], Resources]:
    """What settings make of the resources that a run had.

    A `hydra/launcher` takes their place; without one, keys such as timeout_min=600 change them.

    Raises:
        ValueError: a setting that is no launcher's; from what is returned, a wrong key or value.
    """
    from sweeps.compose import Composer

    if not overrides:
        return lambda last: last
    with Composer() as composer:
        names = [each.key_or_group for each in composer.parse(spelled_out(list(overrides)))]
    if "hydra/launcher" in names:
        resources = plan_resources(overrides)
        return lambda _last: resources
    foreign = [name for name in names if not name.startswith(LAUNCHER)]
    if foreign:
        raise ValueError(f"{foreign[0]} says nothing of a run's resources: leave it out")
    keys = {name.removeprefix(LAUNCHER).split(".")[0] for name in names}

    @cache
    def asked(launcher: str) -> Resources:
        return plan_resources([f"hydra/launcher={launcher}", *overrides])

    return lambda last: last.changed(keys, asked(LAUNCHER_OF[last.executor]))


def _plan(composer: Composer, arguments: list[str]) -> Plan:
    from sweeps.overrides import expand

    parsed = composer.parse(arguments)
    plain = [str(each.input_line) for each in parsed if not each.is_sweep_override()]
    base = composer.full([each for each in plain if _is_general(each)], hydra=True)
    sweep = _plain(base.sweep)
    if "search" in sweep:
        raise ValueError(
            f"{sweep['name']} is a search, not a grid: python -m sweeps search {sweep['name']}"
        )
    grids = parse_grids(sweep.get("grids") or [{}], sweep.get("exclude") or [])
    cells = expand(grids, arguments, composer.loader)
    runs: dict[Path, PlannedRun] = {}
    for cell in cells.cells:
        run = _planned_run(composer, cells.shared, cell)
        runs.setdefault(run.folder, run)
    outputs = Path(str(base.outputs)).expanduser().absolute()
    return Plan(
        name=sweep["name"],
        folder=outputs / sweep["name"],
        runs=list(runs.values()),
        resources=Resources.from_launcher(_launcher(base.hydra.launcher)),
        arguments=arguments,
    )


def _is_general(override: str) -> bool:
    """What decides the grids, their folder and the resources; the rest may need a cell's loss."""
    key = override.split("=")[0].lstrip("+~")
    return key in ("sweep", "outputs", "experiment") or key.startswith(("hydra", "sweep."))


def _planned_run(composer: Composer, shared: tuple[str, ...], cell: Cell) -> PlannedRun:
    from yolactpp.settings import check_settings
    from yolactpp.train import describe_missing_dataset

    config = composer.settings(shared, cell)
    try:
        check_settings(config)
        config = with_fingerprints(config)
    except BadInputError as error:
        raise ValueError(f"{' '.join(overrides_of(cell))}: {error}") from error
    except FileNotFoundError as error:
        raise ValueError(describe_missing_dataset(config["dataset"], error)) from error
    sweep = Path(config["outputs"]).expanduser().absolute() / config["sweep"]["name"]
    return PlannedRun(sweep / folder_name(config), config, [*shared, *overrides_of(cell)])


def _launcher(node: Any) -> dict[str, Any]:
    """The launcher's keys; those that only a running Hydra can resolve are the plugin's own."""
    from omegaconf import OmegaConf

    return {
        str(key): _plain(node[key]) if OmegaConf.is_config(node[key]) else node[key]
        for key in node
        if key not in ("submitit_folder", "name")
    }


def _plain(node: Any) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(node, resolve=True)
