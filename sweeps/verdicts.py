"""Better, worse, or cannot be told apart: one row an arm, each against its baseline.

All AP columns are in points (percent). An arm is compared only with the baseline that shares every
setting but the loss: the survey kept batch size 16 and compared with its batch-8 baseline.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum

import numpy as np
import pandas as pd

from sweeps.differences import differing_columns, header
from sweeps.evidence import Evidence, finished
from sweeps.statistics import (
    ALPHA,
    Arm,
    Comparison,
    Interval,
    compare,
    holm,
    image_interval,
    mean_interval,
    not_below_best,
    permutation_p,
    smallest_detectable,
)
from sweeps.table_build import one_run_a_seed, plain

BASELINE = "bce"
BASELINE_BATCH = 8
PERMUTATION_SEED = 0


class Verdict(StrEnum):
    BASELINE = "baseline"
    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "cannot be told apart"
    ONE_SEED = "cannot be told apart (one seed)"
    SAME_RUNS = "cannot be told apart (seeds do not differ)"
    NO_BASELINE = "no baseline with these settings"


SETTING_COLUMNS = ["setting", "label", "loss", "alpha", "beta", "batch_size"]
COLUMNS = [
    *SETTING_COLUMNS,  # setting: the frame's hash of everything but the seed
    "n",
    "mean",
    "std",
    "low",  # t interval of the mean over seeds; with one seed, over images
    "high",
    "baseline",  # label of the arm it is compared with; empty if there is none
    "difference",  # arm minus baseline
    "difference_low",  # 95 %, not corrected for the table
    "difference_high",
    "p",
    "p_holm",  # corrected over the table
    "p_permutation",  # of the seeds' labels: a check that assumes no distribution
    "detectable",  # smallest true difference seen with 80 % power at Holm's first step
    "verdict",
    "among_best",  # cannot be told apart from the best
]


def verdict_table(
    frame: pd.DataFrame,
    evidence: Evidence | None = None,
    metric: str = "segm.AP",
    baseline: str = BASELINE,
) -> pd.DataFrame:
    """Every arm of the frame against the baseline loss under the same other settings, best first.

    Args:
        frame: of `sweeps.collect`; only finished runs count, one for each seed.
        evidence: replicates over images; without it seeds alone decide.
        metric: column of the frame, a fraction.
        baseline: the loss that others are measured against.

    Returns:
        Columns of `ArmRow`.

    Raises:
        ValueError: the frame has no such metric.
    """
    groups = _arms_of(frame, metric)

    def is_baseline(arm: pd.Series) -> bool:
        return bool(arm["loss"] == baseline)

    return _judge(groups, evidence, metric, _baselines(groups, is_baseline, {"loss"}))


def batch_size_table(
    frame: pd.DataFrame,
    evidence: Evidence | None = None,
    metric: str = "segm.AP",
    baseline: int = BASELINE_BATCH,
) -> pd.DataFrame:
    """Every arm against its own loss at the baseline's batch size, with that size's schedule.

    Arguments, result and errors as in `verdict_table`.
    """
    groups = _arms_of(frame, metric)

    def is_baseline(arm: pd.Series) -> bool:
        return bool(arm["batch_size"] == baseline)

    varied = {"batch_size", "schedule"}
    return _judge(groups, evidence, metric, _baselines(groups, is_baseline, varied))


def arm_labels(runs: pd.DataFrame) -> pd.Series:
    """A readable name for each run's arm: loss, hybrid weights, and whatever else varies."""
    weights = [
        f" α={a:g}" + (f" β={b:g}" if b == b and b != 1 else "") if hybrid and a == a else ""
        for a, b, hybrid in zip(runs["alpha"], runs["beta"], runs["hybrid"], strict=True)
    ]
    labels = runs["loss"].astype(str) + pd.Series(weights, index=runs.index, dtype=str)
    varying = differing_columns(runs.drop_duplicates("setting"), ["loss", "alpha", "beta"])
    for column in (each for each in varying if not each.startswith("loss.")):
        name = "batch" if column == "batch_size" else header(column)
        labels = labels + f", {name}=" + runs[column].map(plain)
    for _, group in runs.groupby(labels, sort=False):
        for column in (each for each in varying if each.startswith("loss.")):
            if group[column].map(repr).nunique() > 1:
                own = f" {column.removeprefix('loss.')}=" + group[column].map(plain)
                labels.loc[group.index] = labels.loc[group.index] + own
    return labels


def _arms_of(frame: pd.DataFrame, metric: str) -> dict[str, pd.DataFrame]:
    """The finished runs of each setting, one for each seed, with their arm's label."""
    runs = finished(frame)
    if metric not in frame and len(runs):
        known = ", ".join(name for name in map(str, frame) if name.endswith(".AP"))
        raise ValueError(f"metric={metric!r} is no column of the runs: use one of {known}")
    if runs.empty:
        return {}
    runs = one_run_a_seed(runs[runs[metric].notna()])
    runs = runs.assign(label=arm_labels(runs))
    return {str(setting): group for setting, group in runs.groupby("setting", sort=False)}


def _baselines(
    groups: dict[str, pd.DataFrame],
    is_baseline: Callable[[pd.Series], bool],
    varied: set[str],
) -> dict[str, str]:
    """Each arm's baseline: it shares all settings outside the sections that are varied."""
    if not groups:
        return {}
    arms = pd.concat([group.iloc[:1] for group in groups.values()])
    arms = arms.drop(columns="label").set_index("setting")
    fixed = [
        column
        for column in differing_columns(arms.reset_index(), ["loss", "alpha", "beta"])
        if column.split(".")[0] not in varied
    ]
    if "loss" not in varied:
        fixed += ["loss", "alpha", "beta"]
    context = {str(setting): tuple(map(repr, arm[fixed])) for setting, arm in arms.iterrows()}
    found = {
        context[str(setting)]: str(setting) for setting, arm in arms.iterrows() if is_baseline(arm)
    }
    return {setting: found[key] for setting, key in context.items() if key in found}


def _arm(group: pd.DataFrame, evidence: Evidence | None, metric: str) -> Arm:
    scores_N = 100 * group[metric].to_numpy(dtype=float)
    folders = list(group["folder"])
    if evidence is None or metric != f"{evidence.task}.AP":
        return Arm(scores_N)
    if not all(folder in evidence.replicates for folder in folders):
        return Arm(scores_N)
    replicates_NR = 100 * np.stack([evidence.replicates[folder] for folder in folders])
    return Arm(scores_N, replicates_NR, evidence.images[folders[0]])


def _judge(
    groups: dict[str, pd.DataFrame],
    evidence: Evidence | None,
    metric: str,
    baselines: dict[str, str],
) -> pd.DataFrame:
    arms = {setting: _arm(group, evidence, metric) for setting, group in groups.items()}
    compared = [s for s in groups if s in baselines and baselines[s] != s]
    comparisons = {s: compare(arms[s], arms[baselines[s]]) for s in compared}
    p_values = np.array([comparisons[s].p_value for s in compared])
    corrected = dict(zip(compared, holm(p_values), strict=True))
    alpha = ALPHA / max(1, int((~np.isnan(p_values)).sum()))
    best = dict(zip(arms, not_below_best(list(arms.values())), strict=True))
    rows = []
    for setting, group in groups.items():
        row = _arm_columns(group.iloc[0], arms[setting])
        row["among_best"] = best[setting]
        row["verdict"] = _verdict(setting, arms, baselines, corrected.get(setting, math.nan))
        if setting in comparisons:
            reference = baselines[setting]
            row["baseline"] = groups[reference]["label"].iloc[0]
            row["p_holm"] = corrected[setting]
            row["p_permutation"] = permutation_p(
                arms[setting], arms[reference], np.random.default_rng(PERMUTATION_SEED)
            )
            row |= _comparison_columns(comparisons[setting], alpha)
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(
        "mean", ascending=False, kind="stable", ignore_index=True
    )


def _arm_columns(first: pd.Series, arm: Arm) -> dict[str, object]:
    low, high = _arm_interval(arm)
    return {
        **{name: first[name] for name in SETTING_COLUMNS},
        "n": arm.n,
        "mean": arm.mean,
        "std": float(arm.scores_N.std(ddof=1)) if arm.n > 1 else math.nan,
        "low": low,
        "high": high,
        "baseline": "",
    }


def _comparison_columns(comparison: Comparison, alpha: float) -> dict[str, object]:
    interval = comparison.interval or Interval(math.nan, math.nan)
    return {
        "difference": comparison.difference,
        "difference_low": interval.low,
        "difference_high": interval.high,
        "p": comparison.p_value,
        "detectable": smallest_detectable(comparison, alpha),
    }


def _arm_interval(arm: Arm) -> tuple[float, float]:
    interval = mean_interval(arm.scores_N)
    if interval is None and arm.replicates_NR is not None:
        interval = image_interval(arm.mean, arm.replicates_NR[0], arm.images)
    return (interval.low, interval.high) if interval else (math.nan, math.nan)


def _verdict(
    setting: str, arms: dict[str, Arm], baselines: dict[str, str], corrected_p: float
) -> Verdict:
    if setting not in baselines:
        return Verdict.NO_BASELINE
    arm, reference = arms[setting], arms[baselines[setting]]
    if arm is reference:
        return Verdict.BASELINE
    if min(arm.n, reference.n) < 2:
        return Verdict.ONE_SEED
    if math.isnan(corrected_p):
        return Verdict.SAME_RUNS
    if corrected_p >= ALPHA:
        return Verdict.UNDECIDED
    return Verdict.BETTER if arm.mean > reference.mean else Verdict.WORSE
