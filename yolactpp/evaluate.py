"""Evaluation without training: `python -m yolactpp.evaluate run=FOLDER [dataset=... protocol=...]`.

The result lies beside the run's own as evaluations/NAME.json; eval.json and the run's identity stay
as they are.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

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
    run = RunDir(Path(given["run"]))
    config = with_replaced(frozen_settings(run), given)
    check_settings(config)
    document = evaluate_run(run, config, given["checkpoint"], given["name"] or _chosen_name(given))
    objective = document["metrics"]["segm"]["AP"]
    log.info("mask AP %s, box AP %s", objective, document["metrics"]["bbox"]["AP"])
    return objective


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
    from yolactpp.training import bad_input

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
