"""From run folders to replicates: finds each run's validation set and resamples its images.

All runs on the same images share the same draws, so that differences between them are paired.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sweeps.bootstrap import average_precision, mean_ap, precision_curves, resample_weights
from sweeps.matches import TASKS, GroundTruth, Matches, load_ground_truth, match
from yolactpp.evaluation.protocols import EvaluationProtocol, Records, as_read
from yolactpp.run_dir import CorruptFileError, RunDir

REPLICATES = 1000
BOOTSTRAP_SEED = 20_230_901
# eval.json's AP and the AP of the stored predictions may differ by rounding, not by more.
AGREEMENT = 1e-6


class NotCoco(Exception):
    """A run's numbers are not COCO's average precision, so resampling that says nothing of them."""


@dataclass
class Evidence:
    """What the stored predictions add to a frame of runs.

    Args:
        task: `bbox` or `segm`.
        draws: of the validation images.
        replicates: run folder -> AP replicates [R], fractions.
        precision: run folder -> precision [10 thresholds, 101 recall levels], mean over classes.
        images: run folder -> number of validation images.
        problems: why a run has no replicates, or why its numbers do not agree; one line each.
        notes: the same where nothing is wrong with it.
    """

    task: str = "segm"
    draws: int = REPLICATES
    replicates: dict[str, np.ndarray] = field(default_factory=dict)
    precision: dict[str, np.ndarray] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def gather(
    frame: pd.DataFrame,
    task: str = "segm",
    replicates: int = REPLICATES,
    seed: int = BOOTSTRAP_SEED,
) -> Evidence:
    """Resample the validation images of every finished run that kept its predictions.

    Args:
        frame: of `sweeps.collect`.
        task: `bbox` or `segm`.
        replicates: draws of the validation set.
        seed: of the draws; the same seed gives the same intervals.
    """
    evidence = Evidence(task, replicates)
    draws: dict[tuple[int, ...], np.ndarray] = {}
    for row in rows(finished(frame)):
        folder = row["folder"]
        try:
            matches = run_matches(row, task)
        except NotCoco as reason:
            evidence.notes.append(f"{row['name']}: no interval over images: {reason}")
            continue
        except (OSError, ValueError, KeyError, CorruptFileError) as error:
            evidence.problems.append(f"{row['name']}: no interval over images: {error}")
            continue
        if not any(each.objects_I.any() for each in matches.classes):
            evidence.problems.append(f"{row['name']}: its validation set holds no object")
            continue
        ids = matches.image_ids
        if ids not in draws:
            draws[ids] = resample_weights(len(ids), replicates, np.random.default_rng(seed))
        curves_KTL = precision_curves(matches)
        present = ~np.isnan(curves_KTL[:, 0, 0])
        evidence.precision[folder] = curves_KTL[present].mean(axis=0)
        whole = float(evidence.precision[folder].mean())
        stored = row.get(f"{task}.AP")
        if stored is not None and not abs(whole - stored) <= AGREEMENT:
            evidence.problems.append(
                f"{row['name']}: eval.json says {task} AP {100 * stored:.2f}, the stored "
                f"predictions give {100 * whole:.2f}: evaluate the run again"
            )
        evidence.replicates[folder] = mean_ap(average_precision(matches, draws[ids]))
        evidence.images[folder] = len(ids)
    return evidence


def finished(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a result."""
    if "segm.AP" not in frame:
        return frame.iloc[:0]
    return frame[(frame["state"] == "finished") & frame["segm.AP"].notna()]


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The frame's rows as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def run_matches(row: Mapping[str, Any], task: str) -> Matches:
    """A run's stored predictions, read as its evaluation read them, matched to its validation set.

    Raises:
        FileNotFoundError: predictions or annotations are missing.
        NotCoco: the run was evaluated by another rule than COCO's.
    """
    run = RunDir(Path(row["folder"]))
    evaluation = run.read_evaluation() or {}
    evaluator = evaluation.get("evaluator", "coco")
    if evaluator != "coco":
        raise NotCoco(f"its average precision is the {evaluator} one, not COCO's")
    records = read_predictions(run, evaluation.get("protocol") or {})[TASKS.index(task)]
    return match(validation_set(row), records, task)


def read_predictions(run: RunDir, protocol: Mapping[str, Any]) -> tuple[Records, Records]:
    """Boxes and masks as the protocol's score threshold and box rounding leave them.

    Raises:
        FileNotFoundError: predictions are missing.
    """
    found = []
    for path in (run.bbox_predictions, run.segm_predictions):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: evaluate the run again to have it")
        found.append(json.loads(path.read_text(encoding="utf-8")))
    return as_read(found[0], found[1], EvaluationProtocol.from_settings(protocol))


def validation_set(row: Mapping[str, Any]) -> GroundTruth:
    """The annotations that a run was evaluated on, of the classes that it knows.

    Raises:
        FileNotFoundError: they are not where the run's config says.
    """
    classes = row.get("dataset.classes")  # a frame holds a list as JSON, and none as None or NaN
    return load_ground_truth(
        _dataset_file(row, "dataset.val.annotations"),
        json.loads(classes) if isinstance(classes, str) else None,
    )


def image_folder(row: Mapping[str, Any]) -> Path:
    """Where the validation pictures of a run lie.

    Raises:
        FileNotFoundError: they are not where the run's config says.
    """
    return _dataset_file(row, "dataset.val.images")


def _dataset_file(row: Mapping[str, Any], key: str) -> Path:
    """A path under `dataset.root`; a relative root is looked for here, then above the run."""
    root, inside = row.get("dataset.root"), row.get(key)
    if not isinstance(root, str) or not isinstance(inside, str):
        raise FileNotFoundError(f"config.yaml has no dataset.root and {key}")
    path = Path(root) / inside
    if path.is_absolute():
        candidates = [path]
    else:
        candidates = [base / path for base in (Path(), *Path(row["folder"]).resolve().parents)]
    for candidate in candidates:
        if candidate.exists():
            return candidate.resolve()
    raise FileNotFoundError(f"{path} not found: the run's {key} under dataset.root={root}")
