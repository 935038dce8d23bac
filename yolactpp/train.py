"""Training: `python -m yolactpp.train loss=hybrid loss.alpha=0.5`; see conf/train.yaml.

Imports torch only when there is something to train: a finished run answers at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from yolactpp import cli
from yolactpp.engine.failures import BadInputError
from yolactpp.frozen_run import freeze_run, read_config
from yolactpp.run_dir import CorruptFileError, RunDir, State, read_json, update_status
from yolactpp.settings import check_settings

log = logging.getLogger("yolactpp.train")

Config = dict[str, Any]
OnValidation = Callable[[int, dict[str, Any]], None]
# What may be chosen anew when a run goes on: it changes no result.
MACHINE = ("runtime", "logger")


def train(cfg: DictConfig) -> float | None:
    """Train the run that the settings describe, or go on with it; its mask AP.

    Args:
        cfg: composed from conf/train.yaml.

    Raises:
        BadInputError: settings or data that cannot be trained with.
        RunStopped: interrupted or preempted; a checkpoint is written.
    """
    overrides = _typed_overrides()
    if cfg.run is not None:
        return train_run(Path(cfg.run), _machine_of_overrides(Path(cfg.run), cfg, overrides))
    config = resolve(cfg)
    check_settings(config)
    run = freeze(config, overrides)
    return train_run(run.path, {key: config[key] for key in MACHINE})


def train_run(
    folder: Path, machine: Config | None = None, on_validation: OnValidation | None = None
) -> float | None:
    """Train a frozen run to its end, from its last good checkpoint if it has one; its mask AP.

    Args:
        folder: a run's folder; everything is read from its config.yaml.
        machine: sections `runtime` and `logger` in place of the frozen ones.
        on_validation: called with iteration and metrics after each validation; may raise.

    Raises:
        BadInputError: no run there, or settings and data that cannot be trained with.
        RunStopped: interrupted or preempted; a checkpoint is written.
    """
    run = RunDir(Path(folder))
    config = {**frozen_settings(run), **(machine or {})}
    if not run.is_finished():
        check_settings(config)
        from yolactpp.training import run_training

        run_training(run, config, on_validation)
    return stored_objective(run)


def frozen_settings(run: RunDir) -> Config:
    """A run's config.yaml.

    Raises:
        BadInputError: no run is there, or its config cannot be read.
    """
    try:
        return read_config(run)
    except (FileNotFoundError, CorruptFileError) as error:
        raise BadInputError(str(error)) from error


def stored_objective(run: RunDir) -> float | None:
    """A finished run's mask AP; None where COCO defines none."""
    evaluation = run.read_evaluation()
    if evaluation is None:
        return None
    _finish_status(run)
    objective = evaluation["metrics"]["segm"]["AP"]
    log.info("%s is finished: mask AP %s", run.path, objective)
    return objective


def freeze(config: Config, overrides: list[str]) -> RunDir:
    """The run's folder, made if it is new.

    Raises:
        BadInputError: the data set is missing.
    """
    try:
        return freeze_run(config, overrides)
    except FileNotFoundError as error:
        raise BadInputError(describe_missing_dataset(config["dataset"], error)) from error


def describe_missing_dataset(dataset: Config, error: FileNotFoundError) -> str:
    """What is missing, where it was looked for and where it can be had."""
    source = f" It can be had here: {dataset['source']}." if dataset.get("source") else ""
    return (
        f"dataset {dataset['name']}: {error.filename} is missing.{source} Put it there, or say "
        "where it is: dataset.root=FOLDER"
    )


def resolve(cfg: DictConfig) -> Config:
    """Plain settings with every interpolation resolved."""
    config = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


def _typed_overrides() -> list[str]:
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def _machine_of_overrides(folder: Path, cfg: DictConfig, overrides: list[str]) -> Config:
    """Sections to take from the command line when a run goes on, as far as they were typed.

    Raises:
        BadInputError: an override that would change the frozen settings.
    """
    frozen_settings(RunDir(folder))
    typed = [each for each in overrides if each.split("=")[0].lstrip("+~") != "run"]
    sections = {each.split("=")[0].lstrip("+~").split(".")[0] for each in typed}
    foreign = sorted(sections - set(MACHINE) - {"outputs", "sweep"})
    if foreign:
        raise BadInputError(
            f"run={folder} goes on from its own frozen config; these overrides have no effect "
            f"there: {', '.join(foreign)}. Leave them out, or leave out run= for another run"
        )
    config = resolve(cfg)
    return {key: config[key] for key in MACHINE if key in sections}


def _finish_status(run: RunDir) -> None:
    """A run that was killed between eval.json and its last status is finished all the same."""
    try:
        state = read_json(run.status).get("state") if run.status.exists() else None
    except CorruptFileError:
        state = None
    if state != State.FINISHED:
        update_status(run, state=str(State.FINISHED), reason=None, message=None)


def main() -> None:
    cli.run(train, config_name="train")


if __name__ == "__main__":
    main()
