"""Better, worse, or cannot be told apart: one row an arm, each against its baseline.

All AP columns are in points (percent). An arm is compared only with the baseline that shares every
setting but the loss: the survey kept batch size 16 and compared with its batch-8 baseline.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
import pandas as pd

from sweeps.evidence import Evidence, finished
from sweeps.statistics import (
    ALPHA,
    Arm,
    compare,
    holm,
    mean_interval,
    not_below_best,
    percentile_interval,
    permutation_p,
    smallest_detectable,
)
from yolactpp.identity import DATASET_PATHS, MACHINE_ONLY

BASELINE = "bce"
PERMUTATION_SEED = 0
# Columns of the frame that are not settings, or that the arm's own columns already hold.
NOT_SETTINGS = frozenset(
    {"folder", "name", "run_id", "setting", "state", "reason", "hybrid", "seed", "fps", "iteration"}
    | {"loss", "alpha", "beta", "batch_size"}
)


class Verdict(StrEnum):
    BASELINE = "baseline"
    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "cannot be told apart"
    ONE_SEED = "cannot be told apart (one seed)"
    SAME_RUNS = "cannot be told apart (seeds do not differ)"
    NO_BASELINE = "no baseline with these settings"


@dataclass(frozen=True)
class ArmRow:
    """One arm of a study; AP in points.

    Args:
        setting: the frame's hash of everything but the seed.
        label: what sets the arm apart, readable.
        low, high: t interval of the mean over seeds; with one seed, over images. NaN if unknown.
        baseline: label of the arm it is compared with.
        difference, difference_low, difference_high: arm minus baseline, 95 %, uncorrected.
        p, p_holm: two-sided, before and after Holm's correction over the table.
        p_permutation: of the seeds' labels, as a check that assumes no distribution.
        detectable: smallest true difference seen with 80 % power at this number of seeds, at the
            level of Holm's first step.
        among_best: the arm cannot be told apart from the best.
    """

    setting: str
    label: str
    loss: str
    alpha: float
    beta: float
    batch_size: float
    n: int
    mean: float
    std: float
    low: float
    high: float
    baseline: str
    difference: float
    difference_low: float
    difference_high: float
    p: float
    p_holm: float
    p_permutation: float
    detectable: float
    verdict: str
    among_best: bool


COLUMNS = [each.name for each in fields(ArmRow)]


def verdict_table(
    frame: pd.DataFrame,
    evidence: Evidence | None = None,
    metric: str = "segm.AP",
    baseline: str = BASELINE,
) -> pd.DataFrame:
    """Every arm of the frame with its verdict, best first.

    Args:
        frame: of `sweeps.collect`; only finished runs count.
        evidence: replicates over images; without it seeds alone decide.
        metric: column of the frame, a fraction.
        baseline: the loss that others are measured against.

    Returns:
        Columns of `ArmRow`.

    Raises:
        ValueError: the frame has no such metric.
    """
    runs = finished(frame)
    if metric not in frame and len(runs):
        known = ", ".join(name for name in frame if str(name).endswith("AP"))
        raise ValueError(f"metric={metric!r} is no column of the runs: use one of {known}")
    if runs.empty:
        return pd.DataFrame(columns=COLUMNS)
    runs = runs[runs[metric].notna()].assign(label=arm_labels(runs))
    groups = {str(setting): group for setting, group in runs.groupby("setting", sort=False)}
    arms = {
        setting: _arm(group, evidence if metric == "segm.AP" else None, metric)
        for setting, group in groups.items()
    }
    baselines = _baselines(groups, baseline)
    rows = _judge(groups, arms, baselines)
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(
        "mean", ascending=False, kind="stable", ignore_index=True
    )


def arm_labels(runs: pd.DataFrame) -> pd.Series:
    """A readable name for each run's arm: loss, hybrid weights, and whatever else varies."""
    labels = runs["loss"].astype(str)
    alpha, beta = runs["alpha"], runs["beta"]
    weights = [
        f" α={a:g}" + (f" β={b:g}" if not math.isnan(b) and b != 1 else "")
        if hybrid and not math.isnan(a)
        else ""
        for a, b, hybrid in zip(alpha, beta, runs["hybrid"], strict=True)
    ]
    labels = labels + pd.Series(weights, index=runs.index, dtype=str)
    for column in varying_settings(runs):
        shown = "batch" if column == "batch_size.total" else column
        values = runs[column].map(_short)
        labels = labels + ", " + shown + "=" + values
    own = [c for c in map(str, runs.columns) if c.startswith("loss.") and c not in _NAMED]
    for _, group in runs.groupby(labels, sort=False):
        if group["setting"].nunique() > 1:
            differing = [c for c in own if group[c].map(_short).nunique() > 1]
            for column in differing:
                text = " " + column.removeprefix("loss.") + "=" + group[column].map(_short)
                labels.loc[group.index] = labels.loc[group.index] + text
    return labels


_NAMED = frozenset({"loss.name", "loss._target_", "loss.alpha", "loss.beta"})


def varying_settings(runs: pd.DataFrame) -> list[str]:
    """Config columns, losses left out, that can change a result and are not equal in all runs."""
    varying = []
    for column in map(str, runs.columns):
        section, _, rest = column.partition(".")
        if column in NOT_SETTINGS or section in MACHINE_ONLY | {"loss", "segm", "bbox"}:
            continue
        if section == "dataset" and rest.split(".")[0] in DATASET_PATHS:
            continue
        if not rest and section not in {"precision", "image_size"}:
            continue
        if runs[column].map(_short).nunique() > 1:
            varying.append(column)
    return varying


def _short(value: Hashable) -> str:
    return "none" if value is None or value != value else str(value)


def _arm(group: pd.DataFrame, evidence: Evidence | None, metric: str) -> Arm:
    scores_N = 100 * group[metric].to_numpy(dtype=float)
    folders = list(group["folder"])
    if evidence is None or not all(folder in evidence.replicates for folder in folders):
        return Arm(scores_N)
    replicates_NR = 100 * np.stack([evidence.replicates[folder] for folder in folders])
    return Arm(scores_N, replicates_NR, evidence.images[folders[0]])


def _baselines(groups: dict[str, pd.DataFrame], baseline: str) -> dict[str, str]:
    """Each arm's baseline: the arm of that loss which shares all settings but the loss."""
    runs = pd.concat(groups.values())
    others = varying_settings(runs)
    context = {
        setting: tuple(_short(group[name].iloc[0]) for name in others)
        for setting, group in groups.items()
    }
    found = {
        context[setting]: setting
        for setting, group in groups.items()
        if group["loss"].iloc[0] == baseline
    }
    return {setting: found[key] for setting, key in context.items() if key in found}


def _judge(
    groups: dict[str, pd.DataFrame], arms: dict[str, Arm], baselines: dict[str, str]
) -> list[ArmRow]:
    compared = [s for s in groups if s in baselines and baselines[s] != s]
    comparisons = {s: compare(arms[s], arms[baselines[s]]) for s in compared}
    p_values = np.array([comparisons[s].p_value for s in compared])
    corrected = dict(zip(compared, holm(p_values), strict=True))
    tests = max(1, int((~np.isnan(p_values)).sum()))
    best = dict(zip(arms, not_below_best(list(arms.values())), strict=True))
    rng = np.random.default_rng(PERMUTATION_SEED)
    rows = []
    for setting, group in groups.items():
        arm, first = arms[setting], group.iloc[0]
        comparison = comparisons.get(setting)
        interval = comparison.interval if comparison else None
        reference = arms[baselines[setting]] if comparison else None
        low, high = _arm_interval(arm)
        rows.append(
            ArmRow(
                setting=setting,
                label=first["label"],
                loss=first["loss"],
                alpha=first["alpha"],
                beta=first["beta"],
                batch_size=first["batch_size"],
                n=arm.n,
                mean=arm.mean,
                std=float(arm.scores_N.std(ddof=1)) if arm.n > 1 else math.nan,
                low=low,
                high=high,
                baseline=groups[baselines[setting]]["label"].iloc[0] if comparison else "",
                difference=comparison.difference if comparison else math.nan,
                difference_low=interval.low if interval else math.nan,
                difference_high=interval.high if interval else math.nan,
                p=comparison.p_value if comparison else math.nan,
                p_holm=float(corrected.get(setting, math.nan)),
                p_permutation=permutation_p(arm, reference, rng) if reference else math.nan,
                detectable=smallest_detectable(comparison, ALPHA / tests)
                if comparison
                else math.nan,
                verdict=_verdict(setting, arms, baselines, corrected, arm.mean),
                among_best=best[setting],
            )
        )
    return rows


def _arm_interval(arm: Arm) -> tuple[float, float]:
    interval = mean_interval(arm.scores_N)
    if interval is None and arm.replicates_NR is not None:
        interval = percentile_interval(arm.replicates_NR[0])
    return (interval.low, interval.high) if interval else (math.nan, math.nan)


def _verdict(
    setting: str,
    arms: dict[str, Arm],
    baselines: dict[str, str],
    corrected: dict[str, float],
    mean: float,
) -> Verdict:
    if setting not in baselines:
        return Verdict.NO_BASELINE
    if baselines[setting] == setting:
        return Verdict.BASELINE
    reference = arms[baselines[setting]]
    if min(arms[setting].n, reference.n) < 2:
        return Verdict.ONE_SEED
    if math.isnan(corrected[setting]):
        return Verdict.SAME_RUNS
    if corrected[setting] >= ALPHA:
        return Verdict.UNDECIDED
    return Verdict.BETTER if mean > reference.mean else Verdict.WORSE
