"""A table as markdown, LaTeX, CSV or HTML text, or on a terminal."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from sweeps.table_model import PUBLISHED, Cell, Table, number_text

DASH = "—"
HEADERS = {"source": "", "fps": "FPS"}


def to_csv(table: Table) -> str:
    """Plain figures; with several seeds each metric has its `_std` beside it, each row its `n`."""
    header = [*table.keys]
    header += ["source"] if table.has_sources else []
    for metric in table.metrics:
        header += [metric, f"{metric}_std"] if table.has_seeds else [metric]
    header += ["n"] if table.has_seeds else []
    header += ["state"] if table.has_gaps else []
    header += table.remarks
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in table.rows:
        values = [row.keys.get(key, "") for key in table.keys]
        values += [row.source] if table.has_sources else []
        for metric in table.metrics:
            cell = row.cells.get(metric)
            values.append(number_text(cell))
            if table.has_seeds:
                values.append("" if cell is None or cell.std is None else f"{cell.std:.2f}")
        if table.has_seeds:
            values.append("" if row.source == PUBLISHED else str(row.n))
        values += [row.state] if table.has_gaps else []
        values += [row.remarks.get(name, "") for name in table.remarks]
        writer.writerow(values)
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A pipe table, best cells in bold."""
    header, body = _grid(table, _escape_markdown, lambda text: f"**{text}**", "±")
    numeric = ["---"] * _lead(table) + ["---:"] * (len(header) - _lead(table))
    lines = [f"**{_escape_markdown(table.title)}**", "", _pipe(header), _pipe(numeric)]
    lines += [_pipe(cells) for cells in body]
    lines += [""] + [_escape_markdown(note) + "\n" for note in table.notes] if table.notes else []
    return "\n".join(lines) + "\n"


def to_latex(table: Table) -> str:
    """A booktabs table that compiles as it stands with `\\usepackage{booktabs}`."""
    header, body = _grid(table, _escape_latex, lambda text: rf"\textbf{{{text}}}", r"$\pm$")
    columns = "l" * _lead(table) + "r" * (len(header) - _lead(table))
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_escape_latex(table.title)}}}"]
    lines += [rf"\label{{tab:{table.name}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join(header) + r" \\", r"\midrule"]
    lines += [" & ".join(cells) + r" \\" for cells in body]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip {_escape_latex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def to_html(table: Table) -> str:
    """A `<table>` without styles; everything that comes from configs is escaped."""
    header, body = _grid(table, html.escape, lambda text: f"<b>{text}</b>", "±")
    lines = [f'<table class="{table.name}">', f"<caption>{html.escape(table.title)}</caption>"]
    lines.append("<thead><tr>" + "".join(f"<th>{cell}</th>" for cell in header) + "</tr></thead>")
    lines.append("<tbody>")
    for row, cells in zip(table.rows, body, strict=True):
        lines.append(
            f'<tr class="{row.source}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        )
    lines += ["</tbody></table>", *(f"<p>{html.escape(note)}</p>" for note in table.notes)]
    return "\n".join(lines) + "\n"


def print_table(table: Table, console: Console) -> None:
    """The table on a terminal, at its full width: no figure is cut off or folded."""
    header, body = _grid(table, str, lambda text: f"\0{text}", "±")
    shown = RichTable(title=table.title, title_justify="left")
    for place, name in enumerate(header):
        shown.add_column(name, justify="left" if place < _lead(table) else "right", no_wrap=True)
    for row, cells in zip(table.rows, body, strict=True):
        dim = "dim" if row.source == PUBLISHED else ""
        shown.add_row(
            *(Text(c.lstrip("\0"), style="bold" if c.startswith("\0") else dim) for c in cells)
        )
    unlimited = console.options.update(width=10_000, max_width=10_000)
    console.width = max(console.width, console.measure(shown, options=unlimited).maximum)
    console.print(shown)
    for note in table.notes:
        console.print(Text(note, style="dim"))


FORMATS: dict[str, Callable[[Table], str]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "html": to_html,
}


def _grid(
    table: Table,
    escape: Callable[[str], str],
    bold: Callable[[str], str],
    plus_minus: str,
) -> tuple[list[str], list[list[str]]]:
    """Header and body cells, ready to be joined."""
    header = [escape(HEADERS.get(key, key)) for key in table.keys]
    header += [""] if table.has_sources else []
    header += [escape(HEADERS.get(metric, metric)) for metric in table.metrics]
    header += ["n"] if table.has_seeds else []
    header += ["state"] if table.has_gaps else []
    header += [escape(name) for name in table.remarks]
    body = []
    for row in table.rows:
        cells = [escape(row.keys.get(key, "")) for key in table.keys]
        cells += [escape(row.source)] if table.has_sources else []
        cells += [
            _cell_text(row.cells.get(metric), escape, bold, plus_minus) for metric in table.metrics
        ]
        if table.has_seeds:
            cells.append("" if row.source == PUBLISHED else str(row.n))
        cells += [escape(row.state)] if table.has_gaps else []
        cells += [escape(row.remarks.get(name, "")) for name in table.remarks]
        body.append(cells)
    return header, body


def _cell_text(
    cell: Cell | None,
    escape: Callable[[str], str],
    bold: Callable[[str], str],
    plus_minus: str,
) -> str:
    if cell is None or cell.mean is None:
        return DASH
    text = number_text(cell)
    if cell.std is not None:
        text += f" {plus_minus} {cell.std:.2f}"
    text += escape(cell.mark)
    return bold(text) if cell.best else text


def _lead(table: Table) -> int:
    return len(table.keys) + table.has_sources


def _pipe(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape_markdown(text: str) -> str:
    for sign in "\\|*`<":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", " ")


def _escape_latex(text: str) -> str:
    signs = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    signs |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    return "".join(signs.get(letter, letter) for letter in text)
