"""The survey's own figures under the same tests: what can be concluded from one run a row.

Four rows of Table II are one loss up to a factor (on probabilities every Huber loss with δ >= 1 is
half the squared error), so their spread is what seeds and chance do in that laboratory. It is the
only estimate of noise that the survey holds, and every other difference is measured with it.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import stats

from sweeps.statistics import ALPHA, POWER, holm
from sweeps.verdicts import Verdict

TABLES = ("table1", "table2", "table3", "readme_table")
EQUAL_ROWS = [("HL", "1"), ("HL", "2"), ("HL", "3"), ("MSE", "")]
README_ONLY = {"Dice", "Log-Cosh-BCE"}
# A mean of ten figures of two decimals is itself within this of the printed mean.
ROUNDING = 0.011


@dataclass(frozen=True)
class Noise:
    """Spread between single runs of one and the same loss, in AP points."""

    values: tuple[float, ...]
    deviation: float
    deviation_low: float  # 95 % interval of the deviation itself
    deviation_high: float
    least_real: float  # smallest difference of two runs that a 5 % test calls real
    detectable: float  # smallest true difference that it would find four times in five

    @property
    def spread(self) -> float:
        return max(self.values) - min(self.values)


@dataclass(frozen=True)
class PublishedCheck:
    """What the published tables say when they are asked for evidence.

    Args:
        noise: of the equal rows.
        rows: each row of Tables II and III, and the README's rows that the paper leaves out,
            against BCE at batch size 16, best first; columns `loss, alpha, AP, difference, p,
            p_holm, verdict`.
        baseline: BCE's AP that Tables II and III compare with.
        baseline_batch: the batch size at which Table I has that very figure.
        fair_baseline: BCE's AP at the batch size of the hybrids.
        best: label and AP of the best hybrid.
        inconsistencies: rows that contradict themselves.
    """

    noise: Noise
    rows: pd.DataFrame
    baseline: float
    baseline_batch: int
    fair_baseline: float
    best: tuple[str, float]
    inconsistencies: list[str]

    @property
    def claimed_gain(self) -> float:
        return self.best[1] - self.baseline

    @property
    def fair_gain(self) -> float:
        return self.best[1] - self.fair_baseline

    def sentences(self) -> list[str]:
        """The findings in words."""
        noise, values = self.noise, ", ".join(f"{value:.2f}" for value in self.noise.values)
        told = self.rows[self.rows["verdict"].isin([Verdict.BETTER, Verdict.WORSE])]
        named = ", ".join(f"{row.loss} ({row.AP:.2f}, {row.verdict})" for row in told.itertuples())
        return [
            f"On probabilities Huber with δ = 1, 2 and 3 is one and the same function and MSE is "
            f"twice it, yet they stand in Table II at {values}: a spread of {noise.spread:.2f} "
            f"points, standard deviation {noise.deviation:.2f} (95 % interval "
            f"{noise.deviation_low:.1f} to {noise.deviation_high:.1f}).",
            f"With that noise two single runs must differ by {noise.least_real:.1f} points to be "
            f"called different at 5 %, and a true difference must be {noise.detectable:.1f} points "
            f"to be found four times in five.",
            f"BCE's {self.baseline:.2f} in Table II is Table I's row of batch size "
            f"{self.baseline_batch}, digit by digit, while the hybrids ran at 16. The best hybrid, "
            f"{self.best[0]}, has {self.best[1]:.2f}: {self.claimed_gain:+.2f} against that row, "
            f"{self.fair_gain:+.2f} against BCE at batch size 16 ({self.fair_baseline:.2f}).",
            f"Of {len(self.rows)} rows {len(told)} can be told apart from BCE at batch size 16, "
            f"Holm's correction applied" + (f": {named}." if named else "."),
            "That is no proof that the others are equal: one run a row could not have shown a gain "
            "of the size that is claimed.",
        ]


def check_published() -> PublishedCheck:
    """Test the figures that stand in `sweeps/published`."""
    table1, table2, table3, readme = (_read(name) for name in TABLES)
    noise = _noise(
        [float(row["mAP"]) for row in table2 if (row["loss"], row["delta"]) in EQUAL_ROWS]
    )
    baseline = next(float(row["mAP"]) for row in table2 if row["loss"] == "BCE")
    segm = {int(r["batch_size"]): float(r["mAP"]) for r in table1 if r["task"] == "Segmentation"}
    batch = next(size for size, value in segm.items() if value == baseline)
    rows = [(_single(row), math.nan, float(row["mAP"])) for row in table2 if row["loss"] != "BCE"]
    rows += [(_pair(row), float(row["alpha"]), float(row["mAP"])) for row in table3]
    rows += [(r["loss"], math.nan, float(r["mAP"])) for r in readme if r["loss"] in README_ONLY]
    best = max(table3, key=lambda row: float(row["mAP"]))
    return PublishedCheck(
        noise=noise,
        rows=_judge(rows, segm[16], noise),
        baseline=baseline,
        baseline_batch=batch,
        fair_baseline=segm[16],
        best=(f"{_pair(best)} with α = {float(best['alpha']):g}", float(best["mAP"])),
        inconsistencies=_inconsistencies(table1, table2, table3, readme),
    )


def _noise(values: list[float]) -> Noise:
    freedom = len(values) - 1
    deviation = float(np.std(values, ddof=1))
    error = deviation * math.sqrt(2)
    critical = float(stats.t.ppf(1 - ALPHA / 2, freedom))
    ends = stats.chi2.ppf([1 - ALPHA / 2, ALPHA / 2], freedom)
    low, high = (deviation * np.sqrt(freedom / ends)).tolist()
    # The same definition as statistics.smallest_detectable, with a standard error known apart.
    grid = np.linspace(0, 4 * critical, 4001)
    found = grid[np.searchsorted(stats.nct.sf(critical, freedom, grid), POWER)]
    return Noise(tuple(values), deviation, low, high, critical * error, float(found) * error)


def _judge(rows: list[tuple[str, float, float]], baseline: float, noise: Noise) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["loss", "alpha", "AP"])
    frame["difference"] = frame["AP"] - baseline
    error = noise.deviation * math.sqrt(2)
    t = frame["difference"].abs().to_numpy() / error
    frame["p"] = 2 * stats.t.sf(t, len(noise.values) - 1)
    frame["p_holm"] = holm(frame["p"].to_numpy())
    told = frame["p_holm"].to_numpy() < ALPHA
    direction = np.where(frame["difference"].to_numpy() > 0, Verdict.BETTER, Verdict.WORSE)
    frame["verdict"] = np.where(told, direction, Verdict.UNDECIDED)
    return frame.sort_values("AP", ascending=False, kind="stable", ignore_index=True)


def _inconsistencies(*tables: list[dict[str, str]]) -> list[str]:
    """Rows whose AP rises with the IoU threshold, or whose mean is not that of its parts."""
    found = []
    for name, table in zip(TABLES, tables, strict=True):
        for number, row in enumerate(table, start=1):
            parts = [(key, float(row[key])) for key in row if key.startswith("AP")]
            for (key, value), (following, next_value) in pairwise(parts):
                if next_value > value:
                    found.append(
                        f"{name}.csv, row {number}: {following} {next_value:.2f} is above "
                        f"{key} {value:.2f}; AP cannot rise with the threshold"
                    )
            mean = float(np.mean([value for _, value in parts]))
            if len(parts) == 10 and abs(mean - float(row["mAP"])) > ROUNDING:
                found.append(
                    f"{name}.csv, row {number}: mAP {row['mAP']}, but the mean of its ten "
                    f"thresholds is {mean:.2f}"
                )
    return found


def _single(row: dict[str, str]) -> str:
    return f"{row['loss']} δ={row['delta']}" if row["delta"] else row["loss"]


def _pair(row: dict[str, str]) -> str:
    return f"{row['loss1']}+{row['loss2']}"


def _read(name: str) -> list[dict[str, str]]:
    text = (resources.files("sweeps") / "published" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
