"""Is the difference between two arms real? Intervals, tests and corrections on plain arrays.

An arm is one setting run with several seeds. Two things move its average precision: the seed, and
which images happen to be in the validation set. The seeds' spread is estimated between runs; what
the images add to a difference of arms is the part of the paired bootstrap that all seeds share
(the covariance between replicates of different runs). Both are added, and the degrees of freedom
are Satterthwaite's, so that three seeds stay three seeds however many images there are.

Shape letters: N runs (seeds) of an arm, R bootstrap replicates over the same image draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import optimize, stats

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.8
PERMUTATIONS_AT_MOST = 20_000


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class Arm:
    """The runs of one setting.

    Args:
        scores_N: the metric of every run.
        replicates_NR: bootstrap replicates over images, the same draws for every arm; None where
            there are no stored predictions, and then images add nothing to the variance.
        images: validation images; they are the replicates' degrees of freedom plus one.
    """

    scores_N: np.ndarray
    replicates_NR: np.ndarray | None = None
    images: int = 0

    def __post_init__(self) -> None:
        if self.replicates_NR is not None and len(self.replicates_NR) != len(self.scores_N):
            raise ValueError(
                f"{len(self.scores_N)} scores but replicates of {len(self.replicates_NR)} runs: "
                "give one row of replicates for each run"
            )

    @property
    def n(self) -> int:
        return len(self.scores_N)

    @property
    def mean(self) -> float:
        return float(self.scores_N.mean())

    @property
    def seed_variance(self) -> float:
        """Of the arm's mean; NaN for a single run."""
        return float(self.scores_N.var(ddof=1) / self.n) if self.n > 1 else math.nan


@dataclass(frozen=True)
class Comparison:
    """Arm minus baseline, in the metric's unit.

    Args:
        difference: of the means over seeds.
        interval: for the difference, at `LEVEL`, not corrected for other comparisons; None when an
            arm has one run.
        p_value: two-sided; NaN when an arm has one run.
        p_greater: one-sided, small when the arm is above the baseline.
        standard_error: of the difference.
        degrees_of_freedom: Satterthwaite's.
        image_variance: the images' part of the squared standard error.
    """

    difference: float
    interval: Interval | None
    p_value: float
    p_greater: float
    standard_error: float
    degrees_of_freedom: float
    image_variance: float


def image_interval(
    value: float, replicates_R: np.ndarray, images: int, level: float = LEVEL
) -> Interval:
    """Interval of one number over validation sets of as many images.

    The replicates give the standard error only: AP is lifted a little by every sample's own luck
    (its precision envelope is a maximum), a resample lifts it once more, and so their quantiles are
    off centre (measured in docs/evidence.md).

    Args:
        value: on the images as they are.
        replicates_R: on resampled images; NaN (no object drawn) is left out.
        images: number of images.
        level: of confidence.
    """
    half = float(stats.t.ppf((1 + level) / 2, images - 1) * np.nanstd(replicates_R, ddof=1))
    return Interval(value - half, value + half)


def mean_interval(scores_N: np.ndarray, level: float = LEVEL) -> Interval | None:
    """Student's t interval for an arm's mean over seeds, on this validation set."""
    if len(scores_N) < 2:
        return None
    half = stats.t.ppf((1 + level) / 2, len(scores_N) - 1) * stats.sem(scores_N)
    return Interval(float(scores_N.mean() - half), float(scores_N.mean() + half))


def paired_bootstrap(arm: Arm, baseline: Arm, level: float = LEVEL) -> Interval:
    """Interval of the difference over images alone, the trained models taken as they are.

    It answers "would other images turn these very models around", not "is the loss better": it
    knows nothing of seeds, and calls equal losses different far too often (docs/evidence.md).

    Raises:
        ValueError: an arm has no replicates.
    """
    if arm.replicates_NR is None or baseline.replicates_NR is None:
        raise ValueError("paired_bootstrap needs stored predictions of both arms")
    difference_R = arm.replicates_NR.mean(axis=0) - baseline.replicates_NR.mean(axis=0)
    return image_interval(arm.mean - baseline.mean, difference_R, arm.images, level)


def compare(arm: Arm, baseline: Arm, level: float = LEVEL) -> Comparison:
    """Difference of two arms for new seeds and new images.

    Seeds are not paired: a seed fixes initial weights and the order of images, yet what two losses
    make of them is all but unrelated, and pairing would halve the degrees of freedom.

    Source: B. L. Welch 1947 and F. E. Satterthwaite 1946 for sums of variances.
    """
    difference = arm.mean - baseline.mean
    image_variance = shared_image_variance(arm, baseline)
    parts = [(arm.seed_variance, arm.n - 1), (baseline.seed_variance, baseline.n - 1)]
    if image_variance > 0:
        parts.append((image_variance, max(arm.images, baseline.images, 2) - 1))
    variance = sum(part for part, _ in parts)
    if not variance > 0:
        # One run in an arm, or runs that are all equal: nothing says how far seeds would spread.
        return Comparison(difference, None, math.nan, math.nan, math.nan, math.nan, image_variance)
    error = math.sqrt(variance)
    freedom = variance**2 / sum(part**2 / df for part, df in parts)
    t = difference / error
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return Comparison(
        difference,
        Interval(difference - half, difference + half),
        float(2 * stats.t.sf(abs(t), freedom)),
        float(stats.t.sf(t, freedom)),
        error,
        freedom,
        image_variance,
    )


def shared_image_variance(arm: Arm, baseline: Arm) -> float:
    """What the choice of images adds to the variance of a difference of means; 0 or more.

    The mean covariance between replicates of different runs: what one run alone owes to the images
    is already in the spread between seeds and must not be counted twice.
    """
    if arm.replicates_NR is None or baseline.replicates_NR is None:
        return 0.0
    both_NR = np.concatenate([arm.replicates_NR, baseline.replicates_NR])
    both_NR = both_NR[:, ~np.isnan(both_NR).any(axis=0)]
    if min(arm.n, baseline.n) < 2 or both_NR.shape[1] < 2:
        return 0.0
    covariance_NN = np.cov(both_NR)
    own = covariance_NN[: arm.n, : arm.n]
    other = covariance_NN[arm.n :, arm.n :]
    cross = covariance_NN[: arm.n, arm.n :]
    shared = _mean_off_diagonal(own) + _mean_off_diagonal(other) - 2 * float(cross.mean())
    return max(0.0, shared)


def permutation_p(arm: Arm, baseline: Arm, rng: np.random.Generator) -> float:
    """Two-sided permutation test of the seeds' labels, exact where there are few of them.

    Three seeds an arm give 20 arrangements, so p cannot fall below 0.1; four can reach 0.029.
    """
    scores = np.concatenate([arm.scores_N, baseline.scores_N])
    total = math.comb(len(scores), arm.n)
    if total <= PERMUTATIONS_AT_MOST:
        chosen = np.array(list(combinations(range(len(scores)), arm.n)))
        extra = 0
    else:
        draws = np.tile(np.arange(len(scores)), (PERMUTATIONS_AT_MOST, 1))
        chosen = rng.permuted(draws, axis=1)[:, : arm.n]
        extra = 1
    sums = scores[chosen].sum(axis=1)
    differences = sums / arm.n - (scores.sum() - sums) / baseline.n
    observed = abs(arm.mean - baseline.mean)
    # Sums in another order differ in their last digits; they are the same arrangement's value.
    as_far = np.abs(differences) >= observed - 1e-12 * max(1.0, observed)
    return float((as_far.sum() + extra) / (len(differences) + extra))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down correction; NaN (no test) stays NaN and does not count.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    adjusted = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors))
    return adjusted


def smallest_detectable(
    comparison: Comparison, alpha: float = ALPHA, power: float = POWER
) -> float:
    """The true difference that such a comparison would call real with probability `power`.

    Args:
        comparison: gives standard error and degrees of freedom.
        alpha: two-sided level of the test, already divided for several comparisons.
        power: in (alpha, 1).

    Returns:
        In the metric's unit; NaN where an arm has one run.
    """
    freedom = comparison.degrees_of_freedom
    if math.isnan(freedom):
        return math.nan
    critical = stats.t.ppf(1 - alpha / 2, freedom)

    def missing_power(noncentrality: float) -> float:
        return float(stats.nct.sf(critical, freedom, noncentrality)) - power

    upper = 2.0 * (critical + 3.0)
    return float(optimize.brentq(missing_power, 0.0, upper)) * comparison.standard_error


def not_below_best(arms: list[Arm], alpha: float = ALPHA) -> list[bool]:
    """Which arms cannot be told apart from the best.

    An arm is out when any other beats it one-sidedly at alpha / (arms - 1). So the truly best arm
    is out with probability at most alpha, although the best-looking one was picked by looking.

    Source: J. C. Hsu's multiple comparisons with the best, 1984, with Bonferroni's bound.
    """
    others = max(1, len(arms) - 1)
    kept = []
    for index, arm in enumerate(arms):
        rivals = [other for j, other in enumerate(arms) if j != index]
        p_values = [compare(rival, arm).p_greater for rival in rivals]
        kept.append(not any(p < alpha / others for p in p_values))
    return kept


def _mean_off_diagonal(covariance_NN: np.ndarray) -> float:
    n = len(covariance_NN)
    return float((covariance_NN.sum() - np.trace(covariance_NN)) / (n * (n - 1)))
