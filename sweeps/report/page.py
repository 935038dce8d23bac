"""Puts the page together: every section is data, the template decides how it looks."""

from __future__ import annotations

import datetime
from importlib import resources
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sweeps.colours import loss_colour
from sweeps.evidence import gather
from sweeps.published_check import PublishedCheck
from sweeps.published_rows import add_published
from sweeps.render import to_html
from sweeps.report.beyond import beyond_table
from sweeps.report.figures import embedded_figures
from sweeps.report.forest import Bar, forest_bars
from sweeps.report.protocol import protocol_differences
from sweeps.report.runs import failed_runs, run_rows, shared_settings
from sweeps.report.samples import sample_panel
from sweeps.study import Study
from sweeps.table_build import build_tables
from sweeps.table_verdicts import add_verdicts, box_runs, difference_text
from sweeps.verdicts import Verdict


def render_page(
    study: Study | None, published: PublishedCheck | None, title: str, output: Path
) -> str:
    """The whole page as text.

    Args:
        study: runs; None for the survey's figures alone.
        published: the survey's figures, tested; None leaves them out.
        title: first line; empty for the question that the runs ask.
        output: where the page will stand: links to run folders start there.
    """
    environment = Environment(
        loader=PackageLoader("sweeps"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return environment.get_template("report.html.j2").render(
        title=title or _question(study),
        made=made,
        style=Markup(_own_file("report.css")),
        script=Markup(_own_file("report.js")),
        study=_study_sections(study, output) if study is not None else None,
        published=_published_section(published) if published is not None else None,
        replicates=study.evidence.draws if study is not None else 0,
    )


def answers(verdicts: pd.DataFrame, baseline: str) -> list[str]:
    """What the study found, in sentences that do not need the tables."""
    compared = verdicts[verdicts["baseline"] != ""]
    found = []
    for verdict in (Verdict.BETTER, Verdict.WORSE):
        labels = list(compared[compared["verdict"] == verdict]["label"])
        if labels:
            found.append(f"{verdict.capitalize()} than {baseline}: {', '.join(labels)}.")
    undecided = compared[~compared["verdict"].isin([Verdict.BETTER, Verdict.WORSE])]
    if len(undecided):
        found.append(f"Cannot be told apart from {baseline}: {', '.join(undecided['label'])}.")
    detectable = compared["detectable"].dropna()
    if len(detectable):
        seeds = compared["n"]
        number = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()}–{seeds.max()}"
        low, high = f"{detectable.min():.1f}", f"{detectable.max():.1f}"
        size = low if low == high else f"{low} to {high}"
        found.append(
            f"With {number} seeds an arm these comparisons find, four times in five, a true "
            f"difference of {size} points of mask AP; smaller ones stay unseen."
        )
    alone = verdicts[verdicts["verdict"] == Verdict.NO_BASELINE]
    if len(alone):
        found.append(f"No {baseline} run shares the settings of: {', '.join(alone['label'])}.")
    return found or ["There is no finished run to compare yet."]


def _question(study: Study | None) -> str:
    if study is None:
        return "What can be concluded from the survey's published figures?"
    return f"Does any mask loss differ from {study.baseline}?"


def _study_sections(study: Study, output: Path) -> dict[str, object]:
    panel, why_no_samples = sample_panel(study)
    figures, left_out = embedded_figures(study)
    return {
        "answers": answers(study.verdicts, study.baseline),
        "baseline": study.baseline,
        "beyond": beyond_table(study),
        "settings": shared_settings(study.frame),
        "verdicts": _verdict_rows(study),
        "tables": _tables(study),
        "runs": run_rows(study, output),
        "figures": figures,
        "left_out": left_out,
        "samples": panel,
        "why_no_samples": why_no_samples,
        "failed": failed_runs(study.frame),
        "problems": study.problems,
        "notes": study.evidence.notes,
        "protocol": protocol_differences(study.frame),
        "finished": len(study.runs),
        "total": len(study.frame),
    }


def _verdict_rows(study: Study) -> list[dict[str, object]]:
    bars: dict[str, Bar] = forest_bars(study.verdicts)
    rows = []
    for _, verdict in study.verdicts.iterrows():
        own = study.runs[study.runs["setting"] == verdict["setting"]]
        rows.append(
            {
                "label": verdict["label"],
                "colour": loss_colour(str(verdict["loss"])),
                "n": int(verdict["n"]),
                "mean": verdict["mean"],
                "std": None if pd.isna(verdict["std"]) else verdict["std"],
                "difference": difference_text(verdict),
                "bar": bars.get(str(verdict["setting"])),
                "p_holm": None if pd.isna(verdict["p_holm"]) else verdict["p_holm"],
                "detectable": None if pd.isna(verdict["detectable"]) else verdict["detectable"],
                "verdict": str(verdict["verdict"]),
                "against": verdict["baseline"],
                "among_best": bool(verdict["among_best"]),
                "run_ids": list(own["run_id"]),
            }
        )
    return rows


def _tables(study: Study) -> list[Markup]:
    tables = [table for table in build_tables(study.frame) if table.rows]
    boxes = gather(box_runs(tables, study.runs), "bbox", study.evidence.draws)
    evidence = {"segm": study.evidence, "bbox": boxes}
    add_verdicts(tables, study.frame, evidence, study.baseline)
    for table in tables:
        add_published(table)
    # to_html escapes whatever comes from configs.
    return [Markup(to_html(table)) for table in tables]


def _published_section(check: PublishedCheck) -> dict[str, object]:
    return {
        "sentences": check.sentences(),
        "rows": check.rows.to_dict("records"),
        "fair_baseline": check.fair_baseline,
        "inconsistencies": check.inconsistencies,
    }


def _own_file(name: str) -> str:
    return (resources.files("sweeps") / "templates" / name).read_text(encoding="utf-8")
