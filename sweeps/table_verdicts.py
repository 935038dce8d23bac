"""Verdicts beside the rows of Tables I, II, III: difference, decision, smallest detectable."""

from __future__ import annotations

import pandas as pd

from sweeps.evidence import Evidence
from sweeps.table_model import MEASURED, Row, Table
from sweeps.verdicts import BASELINE, BASELINE_BATCH, batch_size_table, verdict_table

MARK = "†"
DIFFERENCE, VERDICT, DETECTABLE = "difference [95 %]", "verdict", "detectable"


def add_verdicts(
    tables: list[Table],
    frame: pd.DataFrame,
    evidence: dict[str, Evidence],
    baseline: str = BASELINE,
) -> None:
    """Add three columns to each table and mark what cannot be told apart from the best.

    Holm's correction goes over the comparisons of one table and task. Table I compares batch sizes
    of one loss with the survey's 8, the others compare losses at the same settings with `baseline`.

    Args:
        tables: of `sweeps.table_build.build_tables`; changed in place.
        frame: of `sweeps.collect`.
        evidence: by task, `bbox` and `segm`; a missing task is judged by its seeds alone.
        baseline: loss that Tables II and III compare with.
    """
    for table in tables:
        for task in sorted({row.keys.get("task", "segm") for row in table.rows}):
            rows = [row for row in table.rows if row.keys.get("task", "segm") == task]
            _judge_rows(table, rows, frame, evidence.get(task), task, baseline)
        table.remarks = [DIFFERENCE, VERDICT, DETECTABLE]
        against = f"batch size {BASELINE_BATCH}" if table.name == "table1" else baseline
        table.notes.append(
            f"{MARK} cannot be told apart from the best. Differences of mAP are against {against} "
            "at otherwise the same settings, over seeds and images, in points; verdicts are "
            "Holm-corrected at 5 %; detectable: the smallest true difference that these seeds "
            "would show four times in five."
        )


def box_runs(tables: list[Table], frame: pd.DataFrame) -> pd.DataFrame:
    """The runs whose boxes are judged: those of Table I."""
    rows = [row for table in tables for row in table.rows if row.keys.get("task") == "bbox"]
    return frame[frame["setting"].isin({setting for row in rows for setting in row.settings})]


def _judge_rows(
    table: Table,
    rows: list[Row],
    frame: pd.DataFrame,
    evidence: Evidence | None,
    task: str,
    baseline: str,
) -> None:
    measured = [row for row in rows if row.source == MEASURED]
    settings = {setting for row in measured for setting in row.settings}
    if table.name == "table1":
        own = frame[frame["setting"].isin(settings)]
        judged = batch_size_table(own, evidence, f"{task}.AP")
    else:
        own = frame[frame["setting"].isin(settings) | _is_single(frame, baseline)]
        judged = verdict_table(own, evidence, f"{task}.AP", baseline)
    by_setting = {str(verdict["setting"]): verdict for _, verdict in judged.iterrows()}
    for row in measured:
        found = [setting for setting in row.settings if setting in by_setting]
        if found:
            verdict = by_setting[found[0]]
            row.remarks = remarks(verdict)
            if verdict["among_best"] and "mAP" in row.cells:
                row.cells["mAP"].mark = MARK


def remarks(verdict: pd.Series) -> dict[str, str]:
    """The three columns of one arm, as text in AP points."""
    return {
        DIFFERENCE: difference_text(verdict),
        VERDICT: str(verdict["verdict"]),
        DETECTABLE: "" if pd.isna(verdict["detectable"]) else f"{verdict['detectable']:.2f}",
    }


def difference_text(verdict: pd.Series) -> str:
    """`+0.78 [-1.20, 2.76]`; without an interval where there is one seed."""
    if pd.isna(verdict["difference"]):
        return ""
    text = f"{verdict['difference']:+.2f}"
    if pd.isna(verdict["difference_low"]):
        return text
    return f"{text} [{verdict['difference_low']:.2f}, {verdict['difference_high']:.2f}]"


def _is_single(frame: pd.DataFrame, loss: str) -> pd.Series:
    return (frame["loss"] == loss) & ~frame["hybrid"]
