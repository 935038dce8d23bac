"""`python -m sweeps report FOLDER...`: one self-contained page that opens from an e-mail.

With `--published` the survey's own figures are put under the same tests, beside the runs or alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.description = __doc__
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="folders of runs")
    parser.add_argument("--published", action="store_true", help="test the survey's figures too")
    parser.add_argument("--output", type=Path, help="default: report.html in the first folder")
    parser.add_argument("--baseline", default="bce", help="the loss others are measured against")
    parser.add_argument(
        "--resamples", type=int, default=1000, metavar="N", help="draws of the validation images"
    )
    parser.add_argument("--title", default="", help="the page's first line")


def run(args: argparse.Namespace) -> int:
    """Write the page; 1 where there is no finished run or a file could not be read."""
    if not args.folders and not args.published:
        raise ValueError("give a folder of runs, or --published for the survey's figures alone")
    import matplotlib

    matplotlib.use("Agg")
    from sweeps.published_check import check_published
    from sweeps.report.page import render_page
    from sweeps.study import load_study

    published = check_published() if args.published else None
    if not args.folders:
        output = args.output or Path("published.html")
        output.write_text(render_page(None, published, args.title, output), encoding="utf-8")
        for sentence in published.sentences() if published else []:
            print(f"- {sentence}")
        print(output)
        return 0
    study = load_study(args.folders, args.baseline, args.resamples)
    if study.frame.empty:
        print(f"no run under {', '.join(args.folders)}", file=sys.stderr)
        return 1
    output = args.output or Path(args.folders[0]) / "report.html"
    output.write_text(render_page(study, published, args.title, output), encoding="utf-8")
    print(output)
    for problem in study.problems:
        print(f"note: {problem}", file=sys.stderr)
    return 1 if study.problems or study.runs.empty else 0
