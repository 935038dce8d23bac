"""Stored predictions read under a protocol: one run, several readings. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from yolactpp.evaluation.coco import Backend, Metrics, coco_metrics
from yolactpp.evaluation.inhouse import inhouse_metrics

Records = Sequence[dict[str, Any]]
EVALUATORS = ("coco", "inhouse")


@dataclass(frozen=True)
class EvaluationProtocol:
    """The keys of conf/protocol that act on stored predictions; see there for their meaning."""

    score_threshold: float = 0.0
    table_evaluator: str = "coco"
    min_box_side: float = 0.0
    keep_empty_images: bool = True
    integer_boxes: bool = False

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Pick them from a protocol's settings; a key that is missing has `sound`'s value."""
        return cls(**{f.name: settings[f.name] for f in fields(cls) if f.name in settings})


def evaluate_stored(
    annotations_file: str | Path,
    bbox_records: Records,
    segm_records: Records,
    protocol_settings: Mapping[str, Any],
    backend: Backend = "pycocotools",
    *,
    classes: Sequence[str] | None = None,
) -> dict[str, Metrics]:
    """Metrics of stored predictions as a protocol reads them.

    Args:
        annotations_file: ground truth in COCO format.
        bbox_records, segm_records: contents of predictions/bbox.json and segm.json.
        protocol_settings: a protocol's keys, e.g. the `protocol` part of a run's config.yaml.
        backend: which library counts COCO's metrics.
        classes: names of the categories that count, `dataset.classes` of a run; None counts all.

    Returns:
        {"bbox": M, "segm": M} by the protocol's `table_evaluator`.

    Raises:
        ValueError: an unknown evaluator, or records that do not fit.
    """
    protocol = EvaluationProtocol.from_settings(protocol_settings)
    return evaluate_with(
        protocol.table_evaluator,
        annotations_file,
        bbox_records,
        segm_records,
        protocol,
        backend,
        classes=classes,
    )


def evaluate_with(
    evaluator: str,
    annotations_file: str | Path,
    bbox_records: Records,
    segm_records: Records,
    protocol: EvaluationProtocol,
    backend: Backend = "pycocotools",
    *,
    classes: Sequence[str] | None = None,
) -> dict[str, Metrics]:
    """Metrics by a named evaluator; score threshold and whole-pixel boxes act on both."""
    if evaluator not in EVALUATORS:
        raise ValueError(f"evaluator={evaluator!r}: choose one of {', '.join(EVALUATORS)}")
    bbox_records, segm_records = as_read(bbox_records, segm_records, protocol)
    if evaluator == "coco":
        return coco_metrics(annotations_file, bbox_records, segm_records, backend, classes=classes)
    return inhouse_metrics(
        annotations_file,
        bbox_records,
        segm_records,
        min_box_side=protocol.min_box_side,
        keep_empty_images=protocol.keep_empty_images,
        classes=classes,
    )


def as_read(
    bbox_records: Records, segm_records: Records, protocol: EvaluationProtocol
) -> tuple[Records, Records]:
    """The records a protocol looks at: both kinds are cut at the class score, strictly above."""
    if protocol.score_threshold > 0:
        if missing := sum("box_score" not in record for record in segm_records):
            raise ValueError(
                f"{missing} mask records have no box_score, which score_threshold="
                f"{protocol.score_threshold} needs: predict again, or read with score_threshold=0"
            )
        bbox_records = [r for r in bbox_records if r["score"] > protocol.score_threshold]
        segm_records = [r for r in segm_records if r["box_score"] > protocol.score_threshold]
    if protocol.integer_boxes:
        bbox_records = [record | {"bbox": _whole_pixels(record["bbox"])} for record in bbox_records]
    return bbox_records, segm_records


def _whole_pixels(box_xywh: list[float]) -> list[float]:
    """Both corners truncated, as the original's post-processing does."""
    x, y, width, height = box_xywh
    left, top = int(x), int(y)
    return [left, top, int(x + width) - left, int(y + height) - top]
