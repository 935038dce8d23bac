"""Run folders made by hand: a config and, where wanted, an eval.json or a status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from yolactpp.run_dir import RunDir, write_json

THRESHOLDS = [f"AP{threshold}" for threshold in range(50, 100, 5)]


def config_of(loss: str | dict = "bce", batch: int = 16, seed: int = 0, **more: Any) -> dict:
    """The settings that tables look at; `more` are further top-level sections."""
    section = {"name": loss, "_target_": f"losses.{loss}"} if isinstance(loss, str) else loss
    return {
        "loss": section,
        "batch_size": {"total": batch, "accumulate": 1},
        "seed": seed,
        "schedule": {"iterations": 60, "lr": 0.001},
        "protocol": {"name": "sound", "mask_crop": "weight"},
        "dataset": {"name": "synthetic_butts", "root": "data/x", "fingerprint": "0" * 16},
        "outputs": "outputs",
        **more,
    }


def hybrid(first: str, second: str, alpha: float, beta: float = 1) -> dict:
    """The loss section of a hybrid."""
    return {
        "name": f"{first}_{second}",
        "alpha": alpha,
        "beta": beta,
        "first": {"name": first, "_target_": f"losses.{first}"},
        "second": {"name": second, "_target_": f"losses.{second}"},
    }


def metrics(ap: float) -> dict[str, Any]:
    """A task's metrics, easy to tell apart: APxx = ap - xx/1000."""
    values = {name: round(ap - int(name[2:]) / 1000, 6) for name in THRESHOLDS}
    return {"AP": ap, **values, "AP_small": None, "per_class": {"butt": {"AP": ap}}}


def make_run(
    folder: Path, config: dict, segm: float | None = None, bbox: float | None = None, **status: Any
) -> RunDir:
    """A run folder; with `segm` it is finished, with a status it is in that state."""
    run = RunDir(folder)
    folder.mkdir(parents=True)
    run.config.write_text(yaml.safe_dump(config, sort_keys=False))
    if segm is not None:
        write_json(
            run.evaluation,
            {
                "schema_version": 1,
                "run_id": folder.name[-8:],
                "iteration": 60,
                "metrics": {"bbox": metrics(bbox or segm), "segm": metrics(segm)},
                "speed": {"fps": 20.0 + segm},
            },
        )
    if status:
        write_json(run.status, status)
    return run
