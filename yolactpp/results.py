"""What a run leaves for everything after it: predictions and eval.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yolactpp.engine.evaluator import Evaluation
from yolactpp.evaluation.eval_json import build_evaluation
from yolactpp.run_dir import RunDir, write_bytes, write_json

Config = dict[str, Any]


def evaluation_document(
    config: Config,
    evaluation: Evaluation,
    *,
    run_id: str,
    iteration: int,
    annotations_file: Path,
    speed: dict[str, Any] | None,
) -> dict[str, Any]:
    """eval.json's content, counted by the evaluators and the backend that the settings name."""
    settings = config["evaluation"]
    return build_evaluation(
        run_id=run_id,
        iteration=iteration,
        dataset_name=config["dataset"]["name"],
        split="val",
        fingerprint=config["dataset"]["fingerprint"],
        annotations_file=annotations_file,
        bbox_records=evaluation.bbox_records,
        segm_records=evaluation.segm_records,
        protocol=config["protocol"],
        classes=config["dataset"]["classes"],
        max_detections=config["model"]["detector"]["max_detections"],
        evaluators=settings["evaluators"],
        backend=settings["backend"],
        beyond=settings["beyond"],
        speed=speed,
    )


def write_results(run: RunDir, document: dict[str, Any], evaluation: Evaluation) -> None:
    """Predictions first, eval.json last: where it stands, the run is finished."""
    write_records(run.bbox_predictions, evaluation.bbox_records)
    write_records(run.segm_predictions, evaluation.segm_records)
    write_json(run.evaluation, document)


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """COCO's results format, as pycocotools' loadRes reads it."""
    write_bytes(path, json.dumps(records, separators=(",", ":")).encode())
