"""Evaluation without training: `python -m yolactpp.evaluate run=FOLDER [dataset=... protocol=...]`.

The result lies beside the run's own as evaluations/NAME.json; eval.json and the run's identity stay
as they are. `run=` also takes a checkpoint's file, such as `yolactpp.import_weights` writes, with
`dataset=...`; then the result lies in a folder that bears the file's name.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from yolactpp import cli
from yolactpp.engine.failures import BadInputError
from yolactpp.identity import dataset_fingerprint
from yolactpp.run_dir import RunDir, write_json
from yolactpp.settings import check_settings
from yolactpp.train import describe_missing_dataset, frozen_settings, resolve

log = logging.getLogger("yolactpp.evaluate")

Config = dict[str, Any]
# What may take the place of the run's own settings.
SECTIONS = ("dataset", "protocol", "evaluation")


def evaluate(cfg: DictConfig) -> float | None:
    """Evaluate a run's checkpoint; its mask AP.

    Args:
        cfg: composed from conf/evaluate.yaml.

    Raises:
        BadInputError: no run there, or settings that do not fit it.
        CheckpointError: the checkpoint cannot be read.
    """
    given = resolve(cfg)
    run, frozen, checkpoint = find_settings(Path(given["run"]), given)
    config = with_replaced(frozen, given)
    check_settings(config)
    document = evaluate_run(run, config, checkpoint, given["name"] or _chosen_name(given))
    objective = document["metrics"]["segm"]["AP"]
    log.info("mask AP %s, box AP %s", objective, document["metrics"]["bbox"]["AP"])
    return objective


def find_settings(place: Path, given: Config) -> tuple[RunDir, Config, str]:
    """Where results go, the settings to evaluate under, and which checkpoint.

    A run's folder, or a file among its checkpoints, brings the run's settings. Any other file
    brings its model and protocol; the rest are the defaults of conf/train.yaml.

    Args:
        place: value of `run=`.
        given: settings of the command line.

    Raises:
        BadInputError: there is no run, or a file alone without a data set.
        CheckpointError: the file cannot be read.
    """
    if not place.is_file():
        run = RunDir(place)
        return run, frozen_settings(run), given["checkpoint"]
    run = RunDir(place.absolute().parent.parent)
    if run.config.exists():
        return run, frozen_settings(run), str(place)
    if given.get("dataset") is None:
        raise BadInputError(f"run={place} is a checkpoint alone: say what to evaluate on, dataset=")
    return RunDir(place.with_suffix("")), _settings_of_file(place), str(place)


def _settings_of_file(path: Path) -> Config:
    from yolactpp.engine.checkpoint import load_checkpoint

    content = load_checkpoint(path)
    # A command line has Hydra running; a call from Python may not.
    running = GlobalHydra.instance().is_initialized()
    with nullcontext() if running else initialize_config_module("conf", version_base="1.3"):
        settings = resolve(compose("train"))
    missing = [key for key in ("model_config", "class_names", "protocol") if key not in content]
    if missing:
        raise BadInputError(f"run={path} is no checkpoint of this project: no {missing[0]}")
    return {
        **settings,
        "model": content["model_config"],
        "protocol": content["protocol"],
        "image_size": content["image_size"],
    }


def evaluate_run(run: RunDir, config: Config, checkpoint: str, name: str) -> Config:
    """Evaluate a checkpoint under the given settings and write evaluations/NAME.json.

    Args:
        run: the run's files.
        config: its settings, some of them perhaps replaced.
        checkpoint: `last`, `best` or a path.
        name: of the result's files.
    """
    from yolactpp import build
    from yolactpp.engine.distributed import World, choose_device
    from yolactpp.engine.precision import Precision
    from yolactpp.results import evaluation_document, write_records
    from yolactpp.training import bad_data, bad_input

    with bad_input():
        device = choose_device(config["runtime"]["device"])
        config = build.provide_dataset(config)
        restored = build.restore_run(run, config, device, checkpoint)
        restored.segmenter.detector = build.make(config["model"]["detector"])
        evaluator = build.build_evaluator(
            {**config, "image_size": restored.image_size},
            World(),
            device,
            Precision(config["precision"], device),
            class_names=restored.class_names,
        )
    with bad_data():
        evaluation = evaluator(restored.segmenter)
    assert evaluation is not None
    document = evaluation_document(
        config,
        evaluation,
        run_id=restored.run_id,
        iteration=restored.iteration,
        annotations_file=evaluator.truth.annotations_file,
        speed=evaluator.measure_speed(restored.segmenter),
    )
    folder = run.path / "evaluations"
    write_records(folder / name / "bbox.json", evaluation.bbox_records)
    write_records(folder / name / "segm.json", evaluation.segm_records)
    write_json(folder / f"{name}.json", document)
    log.info("%s", folder / f"{name}.json")
    return document


def with_replaced(frozen: Config, given: Config) -> Config:
    """A run's settings with the sections that were given in place of its own.

    A detector's setting that the protocol decides follows the protocol.

    Raises:
        BadInputError: the other data set is missing.
    """
    replaced = {section: given[section] for section in SECTIONS if given.get(section) is not None}
    config = {**frozen, **replaced, "runtime": given["runtime"]}
    detector = config["model"]["detector"]
    decided = {key: config["protocol"][key] for key in detector if key in config["protocol"]}
    config["model"] = {**config["model"], "detector": {**detector, **decided}}
    if "dataset" in replaced:
        dataset = config["dataset"]
        try:
            fingerprint = dataset_fingerprint(dataset)
        except FileNotFoundError as error:
            raise BadInputError(describe_missing_dataset(dataset, error)) from error
        config["dataset"] = {**dataset, "fingerprint": fingerprint}
    return config


def _chosen_name(given: Config) -> str:
    """Made of the options that were chosen: `nuclei-yolact-best`; `again` without any."""
    choices = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    parts = [str(choices[section]) for section in SECTIONS if given.get(section) is not None]
    if given["checkpoint"] != "last":
        parts.append(Path(given["checkpoint"]).stem)
    return "-".join(parts) or "again"


def main() -> None:
    cli.run(evaluate, config_name="evaluate")


if __name__ == "__main__":
    main()
