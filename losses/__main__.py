"""The catalogue in the terminal, its page, and its pictures.

python -m losses                              every loss: formula, parameters, source
python -m losses NAME...                      these in full
python -m losses plot NAME... [--out FILE]    value and gradient, drawn
python -m losses page [--out FILE]            the catalogue as Markdown
"""

import argparse
import difflib
import sys
import warnings
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from losses.catalogue import KINDS, Entry, catalogue
from losses.compose import single
from losses.page import catalogue_page
from losses.regression import HuberIsHalfMse
from losses.terms import MaskLoss


def print_list(entries: list[Entry], console: Console) -> None:
    """One table a kind: name, formula, parameters with values and ranges, source."""
    for kind, title in KINDS.items():
        table = Table(title=title, title_justify="left", title_style="bold", show_lines=True)
        for column in ("name", "formula", "parameters", "source"):
            table.add_column(column, overflow="fold")
        for entry in entries:
            if entry.kind == kind:
                formula = Text(entry.formula or entry.summary)
                table.add_row(entry.name, formula, Text(_parameters(entry)), Text(entry.source))
        if table.rows:
            console.print(table)
    console.print(
        "z logits, p = sigmoid(z), t target; over the region I = Σpt, P = Σp, T = Σt, FP = P − I, "
        "FN = T − I.\n`python -m losses NAME` says more, `python -m losses plot NAME` draws it; "
        "train with `loss=NAME`, `box_loss=NAME`, `class_loss=NAME`.",
        markup=False,
        highlight=False,
    )


def print_entry(entry: Entry, console: Console) -> None:
    """Everything about one loss."""
    console.print(Text(f"{entry.group}={entry.name}", style="bold"))
    for text in (entry.summary, entry.details, f"Formula: {entry.formula}"):
        if text:
            console.print(Text(text))
    for row in entry.parameters:
        facts = f"  {entry.group}.{row.name}={row.value}"
        valid = f" ({row.valid})" if row.valid else ""
        console.print(Text(f"{facts}{valid}  {row.meaning}"))
    console.print(Text(f"Source: {entry.source}\n"))


def chosen(names: list[str], entries: list[Entry]) -> list[Entry]:
    """The entries of these names, or exit with status 2 and the good ones."""
    by_name = {entry.name: entry for entry in entries}
    for name in names:
        if name not in by_name:
            close = difflib.get_close_matches(name, by_name) or sorted(by_name)
            sys.stderr.write(f"no loss {name!r}; perhaps: {', '.join(close)}\n")
            raise SystemExit(2)
    return [by_name[name] for name in names]


def mask_loss_of(name: str) -> MaskLoss:
    """The mask loss of `loss=NAME` under `protocol=sound`."""
    with initialize_config_module("conf", version_base="1.3"):
        config = compose(overrides=["+protocol=sound", f"+loss={name}"])
    OmegaConf.resolve(config)
    with warnings.catch_warnings():
        # The drawing itself shows that the delta is out of reach.
        warnings.simplefilter("ignore", HuberIsHalfMse)
        return single(instantiate(config.loss))


def main(arguments: list[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else arguments
    verb = words[0] if words and words[0] in ("plot", "page") else "list"
    parser = argparse.ArgumentParser(
        prog="python -m losses", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    if verb != "list":
        default = "losses.png" if verb == "plot" else "docs/losses.md"
        parser.add_argument("--out", type=Path, default=Path(default))
    options = parser.parse_args(words if verb == "list" else words[1:])
    entries, console = catalogue(), Console()
    named = chosen(options.names, entries)
    if verb == "page":
        options.out.write_text(catalogue_page(entries))
        console.print(f"wrote {options.out}")
    elif verb == "plot":
        from losses.plot import plot_file  # matplotlib takes a second that a list need not

        if not named or any(entry.group != "loss" for entry in named):
            parser.error("name the mask losses to draw; box and class losses are not drawn")
        plot_file([(entry, mask_loss_of(entry.name)) for entry in named], options.out)
        console.print(f"wrote {options.out}")
    elif named:
        for entry in named:
            print_entry(entry, console)
    else:
        print_list(entries, console)


def _parameters(entry: Entry) -> str:
    lines = []
    for row in entry.parameters:
        value = row.value if not row.value.startswith("${") else f"by {row.value[2:-1]}"
        lines.append(f"{row.name} = {value}" + (f", {row.valid}" if row.valid else ""))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
