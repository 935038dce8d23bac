"""The table of whatever else a sweep moved: class losses, soft objectness, models, any setting.

One row a setting, keyed by the columns in which the settings differ.
"""

from __future__ import annotations

import pandas as pd

from sweeps.differences import differing_columns
from sweeps.early_ap import with_early_ap

SWEPT = "swept"
TITLE = "Swept settings (segm)"
METRICS = ["mAP", "AP50", "AP75", "AP95"]
EARLY = "early mAP"
LOSS_KEYS = ("loss", "alpha", "beta")
# What Tables I to III show, and what a run is trained on and for how long.
SHOWN_ELSEWHERE = frozenset({"batch_size", "dataset", "protocol", "schedule", "image_size"})


def has_swept(settings: pd.DataFrame) -> bool:
    """Whether something varies that is no business of Tables I to III.

    Args:
        settings: one row a distinct setting, with the frame's columns.
    """
    if len(settings) < 2:
        return False
    columns = differing_columns(settings, ["batch_size"])
    return any(column.partition(".")[0] not in SHOWN_ELSEWHERE for column in columns)


def swept_columns(
    runs: pd.DataFrame, settings: pd.DataFrame
) -> tuple[pd.DataFrame, tuple[str, list[str], list[str]], list[str]]:
    """What the table is made of: the runs with their early AP, its specification and its notes.

    The specification's keys are the loss's that differ; the other swept ones join them. The early
    column is left out where no run was validated before its end.
    """
    keys = [key for key in LOSS_KEYS if settings[key].map(repr).nunique() > 1]
    runs, iterations = with_early_ap(runs)
    if not iterations:
        return runs, (TITLE, keys, METRICS), []
    spelt = ", ".join(map(str, iterations))
    note = f"{EARLY}: at a run's first validation, iteration {spelt}."
    return runs, (TITLE, keys, [EARLY, *METRICS]), [note]
