"""Mask AP early in training: what the first validation before the end measured."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from yolactpp.run_dir import RunDir, State

COLUMN = "segm.early AP"
MARK = '"val/segm_AP"'


def with_early_ap(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[int]]:
    """The runs with a column `segm.early AP` (fractions), and the iterations it was measured at.

    A run that was validated at its end alone has none.
    """
    found = [
        first_validation(RunDir(Path(folder)), final) if state == State.FINISHED else None
        for folder, state, final in zip(
            frame["folder"], frame["state"], _final_iterations(frame), strict=True
        )
    ]
    early = [float("nan") if each is None else each[1] for each in found]
    iterations = sorted({each[0] for each in found if each is not None})
    return frame.assign(**{COLUMN: early}), iterations


def first_validation(run: RunDir, final: float) -> tuple[int, float] | None:
    """Iteration and mask AP of the first validation before `final`; None where there is none.

    Lines are read up to that one only: metrics.jsonl grows with the length of training.
    """
    if not run.metrics.exists():
        return None
    with run.metrics.open(encoding="utf-8") as lines:
        for line in lines:
            if MARK not in line:
                continue
            try:
                record = json.loads(line)
            except ValueError:
                return None
            value = record["val/segm_AP"]
            if value is None or record["iteration"] >= final:
                return None
            return int(record["iteration"]), float(value)
    return None


def _final_iterations(frame: pd.DataFrame) -> pd.Series:
    if "iteration" in frame:
        return frame["iteration"]
    return pd.Series(float("inf"), index=frame.index)
