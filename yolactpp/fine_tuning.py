"""Fine-tuning: a run that starts from the weights of another one, or from imported ones."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

from yolactpp.engine.checkpoint import load_checkpoint
from yolactpp.engine.failures import BadInputError, CheckpointError
from yolactpp.identity import checkpoint_fingerprint
from yolactpp.model.load_matching import load_matching

log = logging.getLogger(__name__)

Config = dict[str, Any]
# Parts of a model's settings that decide its tensors.
ARCHITECTURE = ("backbone", "network")


def start_from(segmenter: nn.Module, config: Config, class_names: list[str]) -> None:
    """Load the weights of `init`; class outputs of another number of classes stay fresh.

    Averaged weights are preferred, as when predicting. Learned weights of loss terms are not taken
    over: they belong to the other run's loss.

    Args:
        segmenter: just built; changed in place.
        config: settings of a frozen run whose `init` is not null.
        class_names: foreground classes of the run's data set by label.

    Raises:
        BadInputError: the file is gone, has changed since the run was made, is no checkpoint, or
            holds another architecture; the message says which model fits.
    """
    path = Path(config["init"])
    content = _read(path, config["init_fingerprint"])
    weights = content["ema"]["model"] if content["ema"] else content["model"]
    network = {name: each for name, each in weights.items() if not name.startswith("criterion.")}
    try:
        report = load_matching(segmenter, network)
    except ValueError as error:
        fitting = ", ".join(fitting_model(content["model_config"], config["model"]))
        raise BadInputError(f"init={path}: {error}: {fitting}") from error
    log.info("starting from %s: %s", path, report)
    if report.reinitialised:
        log.info("fresh class outputs: %s", ", ".join(report.reinitialised))
    elif content["class_names"] != class_names:
        log.warning(
            "classes %s are taken for %s, in order: their outputs are of one shape and kept",
            content["class_names"],
            class_names,
        )


def fitting_model(trained: Config, chosen: Config) -> list[str]:
    """Overrides that turn the chosen model into the one that was trained.

    Args:
        trained: model settings of a checkpoint.
        chosen: model settings of a run.
    """
    if trained["name"] != chosen["name"]:
        return [f"model={trained['name']}"]
    own = dict(_leaves(chosen))
    return [f"model.{key}={value}" for key, value in _leaves(trained) if own.get(key) != value]


def _read(path: Path, fingerprint: str) -> Config:
    try:
        content = load_checkpoint(path)
        if checkpoint_fingerprint(path) != fingerprint:
            raise BadInputError(
                f"init={path} has changed since the run was made: put the file back, or start the "
                "new command once more for a run of its own"
            )
    except (CheckpointError, FileNotFoundError) as error:
        raise BadInputError(
            f"init: {error}. Weights of the original become a checkpoint by "
            "python -m yolactpp.import_weights"
        ) from error
    missing = [key for key in ("ema", "model_config", "class_names") if key not in content]
    if missing:
        raise BadInputError(f"init={path} is no checkpoint of this project: no {missing[0]}")
    return content


def _leaves(model: Config) -> Iterable[tuple[str, str]]:
    """Dotted keys of what decides the tensors, each with its value as typed on a command line."""
    for part in ARCHITECTURE:
        for key, value in model[part].items():
            if key not in ("weights", "backbone", "image_size", "_target_"):
                yield from _spelled(f"{part}.{key}", value)


def _spelled(key: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _spelled(f"{key}.{name}", child)
    else:
        yield key, json.dumps(value, separators=(",", ":"))
