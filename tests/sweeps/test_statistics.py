"""Tests, intervals and corrections against worked values, scipy, and studies with a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sweeps.simulation import DetectionWorld, LinearWorld
from sweeps.statistics import (
    Arm,
    compare,
    holm,
    image_interval,
    mean_interval,
    not_below_best,
    paired_bootstrap,
    permutation_p,
    shared_image_variance,
    smallest_detectable,
)

A = np.array([80.0, 81.5, 82.6])
B = np.array([77.0, 79.9, 78.4])


def test_without_images_compare_is_welch():
    found = compare(Arm(A), Arm(B))
    expected = stats.ttest_ind(A, B, equal_var=False)
    interval = expected.confidence_interval()
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-12)
    assert found.degrees_of_freedom == pytest.approx(expected.df, rel=1e-12)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(interval.low, rel=1e-12)
    assert found.interval.high == pytest.approx(interval.high, rel=1e-12)
    one_sided = stats.ttest_ind(A, B, equal_var=False, alternative="greater")
    assert found.p_greater == pytest.approx(one_sided.pvalue, rel=1e-12)


def test_mean_interval_is_students():
    expected = stats.ttest_1samp(A, 0).confidence_interval()
    found = mean_interval(A)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert mean_interval(A[:1]) is None


def test_one_seed_decides_nothing():
    found = compare(Arm(A[:1]), Arm(B))
    assert found.interval is None
    assert math.isnan(found.p_value)
    assert math.isnan(smallest_detectable(found))


def test_copies_of_one_run_decide_nothing():
    found = compare(Arm(np.array([80.0, 80.0])), Arm(np.array([70.0, 70.0])))
    assert found.interval is None
    assert found.difference == 10


def test_shared_image_variance_is_the_arms_own_taste():
    world = LinearWorld(
        seeds=4, images=400, seed_sd=1.0, arm_image_sd=12.0, seed_image_sd=6.0, image_sd=30.0
    )
    rng = np.random.default_rng(0)
    found = [shared_image_variance(*world.draw(rng, replicates=400)) for _ in range(40)]
    # Two arms, variance 12 squared an image, 400 images; what seeds add is not in it.
    assert np.mean(found) == pytest.approx(2 * 144 / 400, rel=0.1)


def test_holm_worked_values():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.5, np.nan, 0.6])), [1.0, np.nan, 1.0])
    assert holm(np.array([])).size == 0


def test_permutation_is_exact_and_equals_scipy():
    rng = np.random.default_rng(0)
    assert permutation_p(Arm(A), Arm(B), rng) == pytest.approx(0.1)
    a, b = rng.normal(0, 1, 5), rng.normal(0.8, 1, 4)
    expected = stats.permutation_test(
        (a, b), lambda x, y: abs(x.mean() - y.mean()), alternative="greater"
    ).pvalue
    assert permutation_p(Arm(a), Arm(b), rng) == pytest.approx(expected)
    many = permutation_p(Arm(rng.normal(0, 1, 20)), Arm(rng.normal(0, 1, 20)), rng)
    assert 0 < many <= 1


def test_paired_bootstrap_is_the_interval_of_the_difference():
    rng = np.random.default_rng(1)
    shared_R = rng.normal(0, 5, 2000)
    arm = Arm(A, shared_R + A[:, None], images=5000)
    baseline = Arm(B, shared_R + B[:, None] + rng.normal(0, 0.1, 2000), images=5000)
    found = paired_bootstrap(arm, baseline)
    assert found.low == pytest.approx(A.mean() - B.mean() - 0.196, abs=0.02)
    assert found.high == pytest.approx(A.mean() - B.mean() + 0.196, abs=0.02)
    with pytest.raises(ValueError, match="needs stored predictions"):
        paired_bootstrap(arm, Arm(B))


def test_image_interval_is_centred_and_leaves_nan_out():
    replicates = np.array([1.0, 2.0, 3.0, np.nan])
    found = image_interval(1.5, replicates, images=31)
    half = stats.t.ppf(0.975, 30) * 1.0
    assert (found.low, found.high) == pytest.approx((1.5 - half, 1.5 + half))


def test_replicates_must_belong_to_the_runs():
    with pytest.raises(ValueError, match="3 scores but replicates of 2 runs"):
        Arm(A, np.zeros((2, 5)))


def test_smallest_detectable_is_detected_four_times_in_five():
    rng = np.random.default_rng(2)
    n, sd = 3, 1.5
    # Variances known to be equal: the pooled error and its 4 degrees of freedom.
    found = compare(Arm(sd * np.array([-1, 0, 1])), Arm(sd * np.array([-1, 0, 1])))
    assert found.degrees_of_freedom == pytest.approx(4)
    gain = smallest_detectable(found)
    draws = rng.normal(0, sd, (20_000, 2, n))
    p_values = stats.ttest_ind(draws[:, 0] + gain, draws[:, 1], axis=1).pvalue
    assert (p_values < 0.05).mean() == pytest.approx(0.8, abs=0.01)
    assert smallest_detectable(found, alpha=0.01) > gain


def test_best_set_holds_the_best_and_drops_the_hopeless():
    arms = [Arm(A), Arm(A - 0.5), Arm(B - 40)]
    assert not_below_best(arms) == [True, True, False]
    assert not_below_best([Arm(A)]) == [True]


WORLDS = {
    "seeds": LinearWorld(),
    "two seeds": LinearWorld(seeds=2),
    "ten seeds": LinearWorld(seeds=10),
    "images": LinearWorld(seed_sd=0.3, arm_image_sd=15.0),
    "both": LinearWorld(seed_sd=1.0, arm_image_sd=10.0),
    "unequal": LinearWorld(seed_sd=(0.5, 2.5)),
    "heavy tails": LinearWorld(noise="heavy"),
    "collapses": LinearWorld(noise="collapse"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", WORLDS)
def test_equal_arms_are_seldom_called_different(case):
    rng = np.random.default_rng(3)
    studies = [WORLDS[case].draw(rng, replicates=100) for _ in range(1200)]
    found = [compare(arm, baseline) for arm, baseline in studies]
    wrong = np.mean([each.p_value < 0.05 for each in found])
    covered = np.mean([each.interval.low <= 0 <= each.interval.high for each in found])
    assert wrong <= 0.07
    assert covered == pytest.approx(1 - wrong)


@pytest.mark.slow
def test_images_alone_would_call_equal_arms_different():
    rng = np.random.default_rng(4)
    found = [paired_bootstrap(*LinearWorld().draw(rng)) for _ in range(300)]
    assert np.mean([not each.low <= 0 <= each.high for each in found]) > 0.4


@pytest.mark.slow
def test_a_table_of_equal_arms_holds_its_rate():
    rng = np.random.default_rng(5)
    wrong = best_lost = 0
    for _ in range(500):
        baseline, *arms = LinearWorld(gains=(0.0,) * 7).draw(rng, replicates=50)
        p_values = np.array([compare(arm, baseline).p_value for arm in arms])
        wrong += bool((holm(p_values) < 0.05).any())
        best_lost += not not_below_best([baseline, *arms])[0]
    assert wrong / 500 <= 0.07
    assert best_lost / 500 <= 0.07


@pytest.mark.slow
def test_a_large_gain_is_seen():
    rng = np.random.default_rng(6)
    world = LinearWorld(gains=(0.0, 8.0), seeds=5, seed_sd=1.5)
    found = [compare(*reversed(world.draw(rng, replicates=50))) for _ in range(200)]
    assert np.mean([each.p_value < 0.05 and each.difference > 0 for each in found]) > 0.99


@pytest.mark.slow
def test_verdicts_on_exact_average_precision_hold_their_rate():
    rng = np.random.default_rng(7)
    world = DetectionWorld(images=40)
    found = [compare(*world.draw(rng, replicates=100)) for _ in range(200)]
    assert np.mean([each.p_value < 0.05 for each in found]) <= 0.07


@pytest.mark.slow
def test_one_runs_interval_covers_the_ap_of_other_images():
    rng = np.random.default_rng(8)
    world = DetectionWorld(qualities=(1.7,), seeds=1, seed_sd=0.0, images=60)
    arms = [world.draw(rng, replicates=100)[0] for _ in range(300)]
    expected = np.mean([arm.mean for arm in arms])
    intervals = [image_interval(arm.mean, arm.replicates_NR[0], 60) for arm in arms]
    assert np.mean([each.low <= expected <= each.high for each in intervals]) >= 0.92
