"""What a submission will cost, from the speed of earlier runs of the same model and data set."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sweeps.plan import PlannedRun
from sweeps.resources import Resources
from sweeps.sections import SectionTable
from sweeps.state import duration
from yolactpp.run_dir import CorruptFileError, RunDir, find_runs, read_json

LOOKED_AT = 500  # enough earlier runs to tell a speed


def describe_cost(sweep: Path, runs: Sequence[PlannedRun], resources: Resources) -> str:
    """One line: time or GPU-hours, or that nothing is known yet."""
    speeds = earlier_speeds(sweep.parent)
    known = [cost for cost in (seconds_of(run.config, speeds) for run in runs) if cost is not None]
    if not known:
        return "cost: not known yet, no earlier run of this model and data set"
    total_s = sum(known) * len(runs) / len(known)
    if resources.gpus:
        return f"cost: about {total_s * resources.gpus / 3600:.1f} GPU-hours"
    return f"cost: about {duration(total_s)} of one process"


def earlier_speeds(outputs: Path) -> dict[tuple[str, ...], float]:
    """Median images per second by model, data set and image size."""
    found: dict[tuple[str, ...], list[float]] = {}
    table = SectionTable()
    for run in _newest(find_runs(outputs) if outputs.is_dir() else []):
        try:
            speed = read_json(run.status).get("images_per_second")
            numbers = table.read(run.config.read_text(encoding="utf-8"))
        except (CorruptFileError, OSError, ValueError):
            continue
        if isinstance(speed, int | float) and speed > 0:
            leaves: dict[str, Any] = {}
            for number in numbers:
                leaves |= table.sections[number].leaves
            found.setdefault(_kind(leaves), []).append(speed)
    return {kind: statistics.median(values) for kind, values in found.items()}


def seconds_of(config: dict[str, Any], speeds: dict[tuple[str, ...], float]) -> float | None:
    """How long a run will train; None where nothing like it has run."""
    kind = _kind(
        {
            "model.name": config["model"].get("name"),
            "dataset.name": config["dataset"].get("name"),
            "image_size": config.get("image_size"),
        }
    )
    if kind not in speeds:
        return None
    schedule, batch = config["schedule"], config["batch_size"]["total"]
    images = schedule["iterations"] * batch
    if schedule.get("rescale_with_batch"):
        images = schedule["iterations"] * schedule["base_batch"]
    return images / speeds[kind]


def _kind(leaves: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(leaves.get(key)) for key in ("model.name", "dataset.name", "image_size"))


def _newest(runs: Iterable[RunDir]) -> list[RunDir]:
    with_status = [run for run in runs if run.status.exists()]
    return sorted(with_status, key=lambda run: run.status.stat().st_mtime)[-LOOKED_AT:]
