"""Runs read under other protocols: their stored predictions evaluated anew, nothing trained.

What a protocol changes in training (crop, losses, schedule) needs runs of its own; what it changes
in the evaluation (score threshold, whole-pixel boxes, evaluator) is a reading of the same run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sweeps.collect import numbers_of
from sweeps.evidence import finished, rows, validation_set
from yolactpp.evaluation.protocols import evaluate_stored
from yolactpp.protocols import load_protocol
from yolactpp.run_dir import CorruptFileError, RunDir

READ_AS = "read_as"
TASKS = ("bbox", "segm")


def readings(frame: pd.DataFrame, protocols: Sequence[str]) -> pd.DataFrame:
    """Every run once for each protocol, with the metrics that its predictions have under it.

    Args:
        frame: from `collect`.
        protocols: names of conf/protocol.

    Returns:
        A frame with the column `read_as` and settings told apart by it; a run whose predictions or
        annotations cannot be read keeps no metric and is named in `attrs["problems"]`.

    Raises:
        ValueError: a name that is no protocol.
    """
    problems = list(frame.attrs.get("problems", []))
    parts = []
    for name in protocols:
        settings = load_protocol(name)
        part = frame.copy()
        part[READ_AS] = name
        part["setting"] = part["setting"] + f" read as {name}"
        for column in part:
            if str(column).split(".")[0] in TASKS:
                part[column] = float("nan")
        done = finished(frame)
        for index, row in zip(done.index, rows(done), strict=True):
            try:
                numbers = read_as(row, settings)
            except (FileNotFoundError, CorruptFileError, ValueError) as error:
                problems.append(f"{row['name']} read as {name}: {error}")
                continue
            for column, value in numbers.items():
                part.loc[index, column] = float("nan") if value is None else value
        parts.append(part)
    read = pd.concat(parts, ignore_index=True)
    read.attrs["problems"] = list(dict.fromkeys(problems))
    return read


def read_as(row: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, float | None]:
    """A run's metrics by dotted name under a protocol's settings.

    Raises:
        FileNotFoundError, ValueError: predictions or annotations are missing or do not fit.
    """
    run = RunDir(Path(row["folder"]))
    for path in (run.bbox_predictions, run.segm_predictions):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: evaluate the run again to have it")
    truth = validation_set(row)
    metrics = evaluate_stored(
        truth.annotations_file,
        json.loads(run.bbox_predictions.read_text(encoding="utf-8")),
        json.loads(run.segm_predictions.read_text(encoding="utf-8")),
        settings,
        classes=list(truth.categories.values()),
    )
    numbers = numbers_of({"metrics": metrics})
    return {name: value for name, value in numbers.items() if name.split(".")[0] in TASKS}
