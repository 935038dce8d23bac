"""A folder of runs with everything that figures and the report draw from, read once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sweeps.collect import collect
from sweeps.evidence import REPLICATES, Evidence, finished, gather
from sweeps.table_build import one_run_a_seed
from sweeps.verdicts import BASELINE, arm_labels, verdict_table


@dataclass
class Study:
    """Runs and what is known about them.

    Args:
        frame: every run, of `sweeps.collect`.
        runs: the finished ones, one for each setting and seed, with `label` (their arm's name).
        evidence: replicates and precision curves from stored predictions (masks).
        verdicts: one row an arm, best first; see `sweeps.verdicts`.
        baseline: the loss that others are measured against.
    """

    frame: pd.DataFrame
    runs: pd.DataFrame
    evidence: Evidence
    verdicts: pd.DataFrame
    baseline: str

    @property
    def problems(self) -> list[str]:
        """Files that could not be read and numbers that do not agree."""
        return [*self.frame.attrs.get("problems", []), *self.evidence.problems]

    @property
    def labels(self) -> list[str]:
        """Arms, best first."""
        return list(self.verdicts["label"])


def load_study(
    folders: Iterable[str | Path], baseline: str = BASELINE, replicates: int = REPLICATES
) -> Study:
    """Collect runs, resample their validation images and judge their arms.

    Raises:
        FileNotFoundError: a folder does not exist.
    """
    frame = collect(folders)
    runs = one_run_a_seed(finished(frame))
    runs = runs.assign(label=arm_labels(runs)) if len(runs) else runs.assign(label=[])
    evidence = gather(runs, replicates=replicates)
    return Study(frame, runs, evidence, verdict_table(frame, evidence, baseline=baseline), baseline)


def median_run(runs: pd.DataFrame, label: str, metric: str = "segm.AP") -> pd.Series:
    """The run of an arm whose score is in the middle: neither its best nor its worst seed."""
    own = runs[runs["label"] == label].sort_values(metric, kind="stable")
    return own.iloc[(len(own) - 1) // 2]
