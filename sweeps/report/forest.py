"""Differences from the baseline as bars in a common scale, to be drawn in table cells."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Bar:
    """Places in percent of the cell's width."""

    low: float
    high: float
    middle: float
    zero: float


def forest_bars(verdicts: pd.DataFrame) -> dict[str, Bar]:
    """A bar for each arm with an interval, by setting; all share one scale that holds zero."""
    known = verdicts[verdicts["difference_low"].notna()]
    if known.empty:
        return {}
    low = min(0.0, float(known["difference_low"].min()))
    high = max(0.0, float(known["difference_high"].max()))
    width = max(high - low, 1e-9)

    def place(value: float) -> float:
        return round(2 + 96 * (value - low) / width, 2)

    return {
        str(row["setting"]): Bar(
            place(row["difference_low"]),
            place(row["difference_high"]),
            place(row["difference"]),
            place(0.0),
        )
        for _, row in known.iterrows()
    }
