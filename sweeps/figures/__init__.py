"""`python -m sweeps figures FOLDER...`: every figure of a study as PNG and SVG.

Each module draws one figure: `plot(frame, ax=None) -> ax`. A loss has one colour everywhere
(`sweeps.colours`), every seed is shown, the number of seeds is stated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.description = __doc__
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="folders of runs")
    parser.add_argument("--output", type=Path, help="default: figures/ in the first folder")
    parser.add_argument("--format", choices=["png", "svg", "both"], default="both")
    parser.add_argument("--only", metavar="NAMES", help="e.g. seeds,pr_50")
    parser.add_argument("--baseline", default="bce", help="the loss others are measured against")
    parser.add_argument(
        "--resamples", type=int, default=1000, metavar="N", help="draws of the validation images"
    )
    parser.add_argument("--dark", action="store_true", help="for dark slides and pages")


def run(args: argparse.Namespace) -> int:
    """Write the figures; 1 where there is no finished run or a file could not be read."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from sweeps.figures.gallery import PLATES
    from sweeps.figures.style import NothingToDraw, save, theme
    from sweeps.study import load_study

    wanted = args.only.split(",") if args.only else [plate.name for plate in PLATES]
    unknown = sorted(set(wanted) - {plate.name for plate in PLATES})
    if unknown:
        known = ", ".join(plate.name for plate in PLATES)
        raise ValueError(f"--only {','.join(unknown)}: no such figure; there are {known}")
    study = load_study(args.folders, args.baseline, args.resamples)
    if study.runs.empty:
        print(f"no finished run under {', '.join(args.folders)}", file=sys.stderr)
        return 1
    output = args.output or Path(args.folders[0]) / "figures"
    output.mkdir(parents=True, exist_ok=True)
    suffixes = ["png", "svg"] if args.format == "both" else [args.format]
    with theme(args.dark):
        for plate in (each for each in PLATES if each.name in wanted):
            try:
                figure = plate.draw(study)
            except NothingToDraw as reason:
                print(f"{plate.name}: left out, {reason}", file=sys.stderr)
                continue
            for suffix in suffixes:
                save(figure, output / f"{plate.name}.{suffix}")
                print(output / f"{plate.name}.{suffix}")
            plt.close("all")
    for problem in study.problems:
        print(f"note: {problem}", file=sys.stderr)
    return 1 if study.problems else 0
