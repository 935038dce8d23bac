"""What eval.json holds beyond mAP, averaged over the seeds of each arm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sweeps.study import Study
from yolactpp.run_dir import CorruptFileError, RunDir

# Column of the page -> where it stands in eval.json, and what a fraction is multiplied with.
COLUMNS = {
    "boundary AP": (("boundary", "AP"), 100),
    "AP small": (("metrics", "segm", "AP_small"), 100),
    "AP medium": (("metrics", "segm", "AP_medium"), 100),
    "AP large": (("metrics", "segm", "AP_large"), 100),
    "class": (("tide", "segm", "dAP", "class"), 100),
    "localisation": (("tide", "segm", "dAP", "localisation"), 100),
    "both": (("tide", "segm", "dAP", "both"), 100),
    "duplicate": (("tide", "segm", "dAP", "duplicate"), 100),
    "background": (("tide", "segm", "dAP", "background"), 100),
    "missed": (("tide", "segm", "dAP", "missed"), 100),
    "score error": (("calibration", "segm", "error"), 100),
    "mask-IoU error": (("calibration", "mask_iou", "error"), 100),
}


@dataclass(frozen=True)
class BeyondTable:
    """Only columns that some run has; a cell is None where an arm has no value."""

    columns: list[str]
    rows: list[tuple[str, list[float | None]]]


def beyond_table(study: Study) -> BeyondTable | None:
    """Boundary AP, AP by size, TIDE's costs of AP50 and calibration errors; None if no run has any.

    Values are points (percent).
    """
    rows: list[tuple[str, list[float | None]]] = []
    for label in study.labels:
        own = study.runs[study.runs["label"] == label]
        evaluations = [_evaluation(Path(str(folder))) for folder in own["folder"]]
        cells = [
            _mean([_at(each, path) for each in evaluations], factor)
            for path, factor in COLUMNS.values()
        ]
        rows.append((label, cells))
    kept = [k for k in range(len(COLUMNS)) if any(cells[k] is not None for _, cells in rows)]
    if not kept:
        return None
    names = list(COLUMNS)
    return BeyondTable(
        [names[k] for k in kept], [(label, [cells[k] for k in kept]) for label, cells in rows]
    )


def _evaluation(folder: Path) -> dict[str, Any]:
    try:
        return RunDir(folder).read_evaluation() or {}
    except CorruptFileError:
        return {}


def _at(evaluation: dict[str, Any], path: tuple[str, ...]) -> float | None:
    found: Any = evaluation
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) else None


def _mean(values: list[float | None], factor: float) -> float | None:
    known = [value for value in values if value is not None]
    return factor * float(np.mean(known)) if known else None
