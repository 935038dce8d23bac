"""`python -m sweeps tables FOLDER...`: Tables I, II, III and the README table from run folders.

Cells are means over seeds in percent. A run that is missing, failed or unreadable is a visible
cell; an unreadable file is named on stderr and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from rich.console import Console

from sweeps.collect import collect
from sweeps.published_rows import add_published
from sweeps.render import FORMATS, print_table
from sweeps.swept_table import SWEPT
from sweeps.table_build import BASELINE, SPECIFICATIONS, build_tables
from sweeps.table_model import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.description = __doc__
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="folders of runs")
    parser.add_argument("--format", choices=["terminal", *FORMATS], default="terminal")
    parser.add_argument("--published", action="store_true", help="the survey's figures beside")
    parser.add_argument(
        "--verdict", action="store_true", help="say which differences are real (docs/evidence.md)"
    )
    parser.add_argument(
        "--baseline", default=BASELINE, metavar="LOSS", help="what they differ from"
    )
    parser.add_argument(
        "--protocol",
        metavar="NAMES",
        help="read the stored predictions under these protocols, e.g. sound,survey_code",
    )
    parser.add_argument(
        "--table",
        choices=[*SPECIFICATIONS, SWEPT],
        action="append",
        help="only this one (repeatable)",
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="write a file a table there")


def run(args: argparse.Namespace) -> int:
    """Print or write the tables; 1 where a file could not be read or there is no run at all."""
    frame = collect(args.folders)
    problems = list(frame.attrs["problems"])
    if frame.empty:
        print(
            f"no run (a folder with config.yaml) under {', '.join(args.folders)}", file=sys.stderr
        )
        return 1
    if args.protocol and args.verdict:
        raise ValueError("--verdict judges runs as they were evaluated: leave out --protocol")
    if args.protocol:
        from sweeps.readings import readings  # pycocotools is loaded only by who evaluates

        frame = readings(frame, args.protocol.split(","))
        problems = list(frame.attrs["problems"])
    tables = build_tables(frame, args.table)
    if args.verdict:
        problems += judge(tables, frame, args.baseline)
    if args.published:
        for table in tables:
            add_published(table)
    show(tables, args.format, args.output)
    for problem in problems:
        print(f"skipped: {problem}", file=sys.stderr)
    return 1 if problems else 0


def judge(tables: list[Table], frame: pd.DataFrame, baseline: str) -> list[str]:
    """Add verdicts to the tables; returns what was wrong with stored predictions."""
    from sweeps.evidence import gather  # scipy and pycocotools are loaded only by who judges
    from sweeps.table_verdicts import add_verdicts, box_runs

    evidence = {"bbox": gather(box_runs(tables, frame), "bbox"), "segm": gather(frame)}
    add_verdicts(tables, frame, evidence, baseline)
    return [problem for each in evidence.values() for problem in each.problems]


def show(tables: list[Table], form: str, output: Path | None) -> None:
    """Print all tables that have rows, or write each into its file."""
    suffix = {"terminal": "txt", "markdown": "md", "latex": "tex"}.get(form, form)
    for number, table in enumerate(tables):
        if not table.rows:
            print(f"{table.title}: no runs", file=sys.stderr)
        elif output is not None:
            output.mkdir(parents=True, exist_ok=True)
            with (output / f"{table.name}.{suffix}").open("w", encoding="utf-8") as file:
                _write(table, form, Console(file=file, width=160))
        else:
            if form == "csv" and len(tables) > 1:
                print(f"{chr(10) if number else ''}# {table.title}")
            elif number:
                print()
            _write(table, form, Console())


def _write(table: Table, form: str, console: Console) -> None:
    if form == "terminal":
        print_table(table, console)
    else:
        console.file.write(FORMATS[form](table))
