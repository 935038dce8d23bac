"""How long the sweep system takes for 500 runs: `python -m benchmarks.sweeps [--slurm]`.

Plans, freezes and submits 504 runs, submits them again, and asks for their status. Without --slurm
the queue is a fake that takes everything at once; with it the jobs go, held, to the SLURM that
answers here (scripts/slurm_dev up) and are cancelled afterwards.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

import sweeps
from sweeps.cancel import cancel
from sweeps.executor import Executor, JobView, Life, Order
from sweeps.queueing import executors
from sweeps.state import sweep_states
from sweeps.status import show
from sweeps.submit import submit

SEEDS = ",".join(map(str, range(42)))  # 12 cells of table3 a seed
LIMITS_S = {"plan, freeze, submit": 20.0, "submit again": 5.0, "status": 2.0}


class TakesAll:
    """A queue that takes every run at once and never runs any."""

    name = "slurm"

    def submit(self, order: Order) -> Iterable[dict[Path, str]]:
        yield {run: f"1_{number}" for number, run in enumerate(order.runs)}

    def started(self, hidden: Path) -> None:
        assert hidden.is_dir()

    def views(self, jobs: Sequence[str], hidden: Path) -> dict[str, JobView]:
        assert hidden.is_dir()
        return {job: JobView(Life.PENDING, "PENDING") for job in jobs}

    def cancel(self, jobs: Sequence[str], hidden: Path) -> None:
        assert jobs is not None, hidden


def measure(outputs: Path, known: Mapping[str, Executor]) -> dict[str, float]:
    """Seconds of each step."""
    held = "+hydra.launcher.additional_parameters.hold=true"
    overrides = [f"outputs={outputs}", f"seed={SEEDS}", "hydra/launcher=slurm_cpu", held]

    def submit_all() -> int:
        return len(submit(sweeps.plan("table3", overrides), known=known).jobs)

    def status() -> int:
        states = sweep_states(outputs / "table3", known)
        show(states, Console(file=io.StringIO()))
        return len(states)

    figures = {}
    for name, step, count in (
        ("plan, freeze, submit", submit_all, 504),
        ("submit again", submit_all, 0),
        ("status", status, 504),
    ):
        figures[name], found = timed(step)
        assert found == count, f"{name}: {found} runs, {count} were expected"
    return figures


def timed(step: Callable[[], int]) -> tuple[float, int]:
    """Seconds and result of a step."""
    started = time.perf_counter()
    result = step()
    return time.perf_counter() - started, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slurm", action="store_true")
    args = parser.parse_args()
    known = executors() if args.slurm else {"slurm": TakesAll(), "local": TakesAll()}
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), known)
        if args.slurm:
            cancel(Path(folder) / "table3", known=known)
    for name, seconds in figures.items():
        print(f"{name:22s} {seconds:6.2f} s, at most {LIMITS_S[name]:.0f} s")
    print(json.dumps({name: round(seconds, 3) for name, seconds in figures.items()}))
    sys.exit(any(figures[name] > limit for name, limit in LIMITS_S.items()))


if __name__ == "__main__":
    main()
