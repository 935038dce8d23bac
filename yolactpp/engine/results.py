"""eval.json and predictions: what everything after the training reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yolactpp.engine.evaluator import Evaluation
from yolactpp.run_dir import SCHEMA_VERSION, RunDir, write_bytes, write_json


def evaluation_document(
    config: dict[str, Any], run_id: str, iteration: int, evaluation: Evaluation
) -> dict[str, Any]:
    """eval.json of schema version 1, but for `speed`."""
    dataset = config["dataset"]
    detector = config["model"]["detector"]
    thresholds = {key: value for key, value in detector.items() if not key.startswith("_")}
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "iteration": iteration,
        "dataset": {
            "name": dataset["name"],
            "split": "val",
            "images": evaluation.images,
            "annotations": evaluation.annotations,
            "fingerprint": dataset["fingerprint"],
        },
        "protocol": {"name": config["protocol"]["name"], **thresholds},
        "metrics": evaluation.metrics,
    }


def write_results(run: RunDir, document: dict[str, Any], evaluation: Evaluation) -> None:
    """Predictions first, eval.json last: where it stands, the run is finished."""
    write_records(run.bbox_predictions, evaluation.bbox_records)
    write_records(run.segm_predictions, evaluation.segm_records)
    write_json(run.evaluation, document)


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """COCO's results format, one line, as pycocotools' loadRes reads it."""
    write_bytes(path, json.dumps(records, separators=(",", ":")).encode())
