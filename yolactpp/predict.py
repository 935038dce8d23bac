"""Prediction: `python -m yolactpp.predict run=FOLDER source=photos`; see conf/predict.yaml.

Exit status: 0 everything was predicted, 1 some inputs failed and the rest is done, 2 nothing was
usable or the arguments are wrong.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from yolactpp import cli
from yolactpp.engine.failures import BadInputError
from yolactpp.path_arguments import quote_paths
from yolactpp.run_dir import RunDir

log = logging.getLogger("yolactpp.predict")

PLACES = ("run", "source", "output", "images")


def predict(cfg: DictConfig) -> None:
    """Predict what the settings name, and write it; exits with 1 where some inputs failed.

    Args:
        cfg: composed from conf/predict.yaml.

    Raises:
        BadInputError: nothing to predict, or settings out of range.
    """
    from yolactpp.loading import load
    from yolactpp.prediction.predict_source import predict_source
    from yolactpp.prediction.sources import open_source
    from yolactpp.prediction.writers import make_writers

    batch_size = _at_least_one(cfg, "batch")
    frames = None if cfg.frames is None else _at_least_one(cfg, "frames")
    images = None if cfg.images is None else Path(str(cfg.images))
    source = open_source(str(cfg.source), images=images, frames=frames)
    predictor = load(
        str(cfg.run),
        str(cfg.runtime.device),
        checkpoint=str(cfg.checkpoint),
        score_threshold=_number(cfg, "score_threshold"),
        max_detections=None if cfg.max_detections is None else _at_least_one(cfg, "max_detections"),
    )
    folder = output_folder(cfg.output, Path(str(cfg.run)), source.name)
    writers = make_writers(
        _kinds(cfg.write),
        folder,
        class_names=predictor.class_names,
        category_ids=predictor.category_ids,
        video=None if source.fps is None else (source.name, source.fps),
    )
    _check_writable(folder)
    outcome = predict_source(source, predictor, writers, batch_size=batch_size)
    if outcome.images == 0:
        raise BadInputError(
            f"source={cfg.source}: nothing of it can be used, for the reasons given above"
        )
    log.info("%s; written to %s", outcome, folder)
    if outcome.failures:
        sys.exit(cli.FAILED)


def output_folder(output: Any, run: Path, source_name: str) -> Path:
    """Where results go: as asked, else below the run's folder, else below ./predictions."""
    if output is not None:
        return Path(str(output)).expanduser()
    if RunDir(run).config.exists():
        return run / "predicted" / source_name
    return Path("predictions") / source_name


def _kinds(write: Any) -> list[str]:
    listed = write if isinstance(write, ListConfig) else str(write).split(",")
    return [str(kind) for kind in listed]


def _at_least_one(cfg: DictConfig, key: str) -> int:
    value = cfg[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadInputError(f"{key}={value}: give a whole number from 1 on")
    return value


def _number(cfg: DictConfig, key: str) -> float:
    value = cfg[key]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadInputError(f"{key}={value}: give a number")
    return float(value)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"output={folder} cannot be made: {error.strerror}") from error


def main() -> None:
    sys.argv[1:] = quote_paths(sys.argv[1:], PLACES)
    cli.run(predict, config_name="predict")


if __name__ == "__main__":
    main()
