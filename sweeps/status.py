"""`python -m sweeps status FOLDER [KEY=VALUE ...]`: one table of runs; it changes nothing."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.filters import select
from sweeps.queueing import executors
from sweeps.state import ALIVE, RunState, Standing, duration, sweep_states

STYLES = {
    Standing.FINISHED: "green",
    Standing.RUNNING: "cyan",
    Standing.FAILED: "red",
    Standing.INCOMPLETE: "red",
    Standing.UNKNOWN: "yellow",
    Standing.CANCELLED: "magenta",
}
COLUMNS = ("run", "state", "attempt", "iteration", "ETA", "loss", "AP", "node", "note")
WATCH_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.description = __doc__
    parser.add_argument("folder", type=Path, help="a sweep's folder, or a run's")
    parser.add_argument("filters", nargs="*", metavar="KEY=VALUE", help="e.g. loss=huber seed=1,2")
    parser.add_argument("--watch", action="store_true", help="again every 5 s until all is done")


def run(args: argparse.Namespace) -> int:
    """Show the table; 0 whatever it says."""
    console = Console()
    while True:
        states = select(sweep_states(args.folder, executors()), args.filters)
        if args.watch and console.is_terminal:
            console.clear()
        show(states, console)
        if not args.watch or not any(state.standing in ALIVE for state in states):
            return 0
        time.sleep(WATCH_S)


def show(states: Sequence[RunState], console: Console) -> None:
    """The table and a line of counts."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for name in COLUMNS:
        right = name in ("attempt", "iteration", "ETA", "loss", "AP")
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "note")
    for state in states:
        cells = row_of(state)
        style = STYLES.get(state.standing, "")
        table.add_row(
            *(Text(c, style=style if name == "state" else "") for name, c in cells.items())
        )
    unlimited = console.options.update(width=10_000, max_width=10_000)
    console.width = max(console.width, console.measure(table, options=unlimited).maximum)
    console.print(table)
    counts = Counter(str(state.standing) for state in states)
    console.print(f"{len(states)} runs: " + ", ".join(f"{n} {name}" for name, n in counts.items()))


def row_of(state: RunState) -> dict[str, str]:
    """A run's cells by column."""
    status = state.status or {}
    losses = status.get("losses") or {}
    total = losses.get("total")
    attempt = str(state.attempt.number) if state.attempt else str(status.get("attempt") or "")
    running = state.standing is Standing.RUNNING
    values = (
        state.run.path.name,
        f"{state.standing} ({state.reason})" if state.reason else str(state.standing),
        f"{attempt}+{state.requeues}" if state.requeues else attempt,
        f"{status.get('iteration', 0)}/{status['total']}" if status.get("total") else "",
        duration(status["eta_s"]) if running and status.get("eta_s") is not None else "",
        f"{total:.3f}" if isinstance(total, int | float) else "",
        "" if state.ap is None or state.ap < 0 else f"{100 * state.ap:.2f}",
        state.node,
        state.note,
    )
    return dict(zip(COLUMNS, values, strict=True))
