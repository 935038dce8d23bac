"""The content of a run's eval.json, schema version 1. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolactpp.evaluation.boundary import boundary_metrics
from yolactpp.evaluation.calibration import calibration
from yolactpp.evaluation.coco import Backend, load_annotations
from yolactpp.evaluation.protocols import EvaluationProtocol, as_read, evaluate_with
from yolactpp.evaluation.tide import tide_errors
from yolactpp.run_dir import SCHEMA_VERSION

Records = Sequence[dict[str, Any]]


def build_evaluation(
    *,
    run_id: str,
    iteration: int,
    dataset_name: str,
    split: str,
    fingerprint: str | None,
    annotations_file: str | Path,
    bbox_records: Records,
    segm_records: Records,
    protocol: Mapping[str, Any],
    classes: Sequence[str] | None = None,
    max_detections: int = 100,
    evaluators: Sequence[str] = ("coco",),
    backend: Backend = "pycocotools",
    beyond: bool = True,
    speed: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Evaluate stored predictions and put the result in eval.json's form.

    `metrics` is the first evaluator's; each further one stands under `metrics_NAME`. All read the
    predictions through the protocol's score threshold; the predictions themselves are stored
    without it, so that another protocol can read them.

    Args:
        run_id: the run's identity.
        iteration: of the weights that were evaluated.
        dataset_name, split, fingerprint: what was evaluated on.
        annotations_file: ground truth in COCO format.
        bbox_records, segm_records: what predictions/bbox.json and segm.json hold.
        protocol: the protocol's settings; all are copied into the result.
        classes: names of the categories that count; None counts all of the file.
        max_detections: the detector's limit.
        evaluators: `coco`, `inhouse`.
        backend: which library counts COCO's metrics.
        beyond: also boundary AP, TIDE's errors and calibration, each under its own key.
        speed: from `measure_speed`.

    Raises:
        ValueError: no evaluator, an unknown one, or records that do not fit.
    """
    if not evaluators:
        raise ValueError("evaluators=[]: name at least one of coco, inhouse")
    settings = EvaluationProtocol.from_settings(protocol)
    by_evaluator = {
        name: evaluate_with(
            name, annotations_file, bbox_records, segm_records, settings, backend, classes=classes
        )
        for name in evaluators
    }
    truth = load_annotations(annotations_file, classes)
    evaluation: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "iteration": iteration,
        "dataset": {
            "name": dataset_name,
            "split": split,
            "images": len(truth["images"]),
            "annotations": len(truth["annotations"]),
            "fingerprint": fingerprint,
        },
        "protocol": {**protocol, "max_detections": max_detections},
        "evaluator": evaluators[0],
        "metrics": by_evaluator[evaluators[0]],
        "speed": dict(speed) if speed else None,
    }
    evaluation |= {f"metrics_{name}": by_evaluator[name] for name in evaluators[1:]}
    if beyond:
        read = as_read(bbox_records, segm_records, settings)
        evaluation |= {
            "boundary": boundary_metrics(truth, read[1]),
            "tide": tide_errors(truth, *read),
            "calibration": calibration(truth, *read),
        }
    return evaluation
