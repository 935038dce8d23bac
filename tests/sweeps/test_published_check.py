"""The survey's figures under our tests: equal rows, the batch-8 baseline, what can be concluded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sweeps.published_check import check_published
from sweeps.verdicts import Verdict


@pytest.fixture(scope="module")
def found():
    return check_published()


def test_equal_rows_are_the_noise(found):
    assert found.noise.values == (80.53, 79.03, 76.74, 79.21)
    assert found.noise.spread == pytest.approx(3.79)
    assert found.noise.deviation == pytest.approx(np.std(found.noise.values, ddof=1))
    assert found.noise.deviation_low < found.noise.deviation < found.noise.deviation_high
    # Two runs and three degrees of freedom of the noise.
    assert found.noise.least_real == pytest.approx(3.182 * 1.5741 * 2**0.5, rel=1e-3)
    power = stats.nct.sf(3.18245, 3, found.noise.detectable / (found.noise.deviation * 2**0.5))
    assert power == pytest.approx(0.8, abs=0.01)


def test_the_claimed_gain_turns_with_the_batch_size(found):
    assert (found.baseline, found.baseline_batch, found.fair_baseline) == (83.65, 8, 84.67)
    assert found.best == ("MSE+BCE with α = 0.5", 84.43)
    assert found.claimed_gain == pytest.approx(0.78)
    assert found.fair_gain == pytest.approx(-0.24)


def test_no_row_is_better_and_only_dice_is_worse(found):
    told = found.rows[found.rows["verdict"] != Verdict.UNDECIDED]
    assert list(told["loss"]) == ["Dice"]
    assert list(told["verdict"]) == [Verdict.WORSE]
    assert len(found.rows) == 19
    assert (found.rows["p_holm"] >= found.rows["p"]).all()


def test_the_published_tables_do_not_contradict_themselves_in_thresholds(found):
    assert found.inconsistencies == []


def test_the_findings_are_said(found):
    text = "\n".join(found.sentences())
    for figure in ("3.79", "7.1 points", "+0.78", "-0.24", "84.67", "digit by digit"):
        assert figure in text
