"""Runs as rows of the page: results, and where each number comes from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sweeps.colours import loss_colour
from sweeps.differences import header
from sweeps.study import Study
from sweeps.table_build import plain
from yolactpp.identity import DATASET_PATHS, MACHINE_ONLY
from yolactpp.run_dir import CorruptFileError, RunDir, read_json

LOG_LINES = 12
LOG_BYTES = 8000
NOT_SHARED = MACHINE_ONLY | {"segm", "bbox", "loss", "seed"}


@dataclass(frozen=True)
class RunRow:
    """One run; numbers are None where there is no result, AP in points."""

    run_id: str
    name: str
    link: str
    label: str
    colour: str
    batch_size: float | None
    seed: float | None
    state: str
    ap: float | None
    ap50: float | None
    ap75: float | None
    box_ap: float | None
    fps: float | None
    iteration: float | None
    commit: str
    dirty: bool
    fingerprint: str
    host: str
    device: str


@dataclass(frozen=True)
class FailedRun:
    """A run without a result and what is known of why."""

    name: str
    state: str
    reason: str
    message: str
    iteration: str
    log: str


def run_rows(study: Study, output: Path) -> list[RunRow]:
    """Every run, finished or not, with its provenance; links are relative to the page's place."""
    labels = dict(zip(study.runs["folder"], study.runs["label"], strict=True))
    rows = []
    for _, row in study.frame.iterrows():
        folder = str(row["folder"])
        provenance = _provenance(RunDir(Path(folder)))
        attempts = provenance.get("attempts")
        last = attempts[-1] if isinstance(attempts, list) and attempts else provenance
        rows.append(
            RunRow(
                run_id=str(row["run_id"]),
                name=str(row["name"]),
                link=Path(os.path.relpath(folder, output.parent)).as_posix() + "/",
                label=labels.get(folder, str(row["loss"])),
                colour=loss_colour(str(row["loss"])),
                batch_size=_number(row, "batch_size"),
                seed=_number(row, "seed"),
                state=str(row["state"]),
                ap=_percent(row, "segm.AP"),
                ap50=_percent(row, "segm.AP50"),
                ap75=_percent(row, "segm.AP75"),
                box_ap=_percent(row, "bbox.AP"),
                fps=_number(row, "fps"),
                iteration=_number(row, "iteration"),
                commit=str(provenance.get("commit") or "")[:10],
                dirty=bool(provenance.get("dirty")),
                fingerprint=plain(row.get("dataset.fingerprint")),
                host=str(last.get("host") or ""),
                device=str(last.get("device") or ""),
            )
        )
    return rows


def failed_runs(frame: pd.DataFrame) -> list[FailedRun]:
    """Runs that are neither finished nor simply waiting."""
    found = []
    for _, row in frame[~frame["state"].isin(["finished", "planned"])].iterrows():
        run = RunDir(Path(str(row["folder"])))
        try:
            status: dict[str, Any] = read_json(run.status) if run.status.exists() else {}
        except CorruptFileError as error:
            status = {"message": str(error)}
        found.append(
            FailedRun(
                name=str(row["name"]),
                state=str(row["state"]),
                reason=plain(row["reason"]),
                message=str(status.get("message") or ""),
                iteration=f"{status.get('iteration', '?')} of {status.get('total', '?')}",
                log=_last_lines(run.log),
            )
        )
    return found


def shared_settings(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Settings outside the loss: the common value, or all values where runs differ."""
    found = []
    for column in map(str, frame.columns):
        section, _, rest = column.partition(".")
        if section in NOT_SHARED or not (rest or section in {"precision", "image_size"}):
            continue
        if section == "dataset" and rest.split(".")[0] in DATASET_PATHS | {"train", "val"}:
            continue
        if section == "protocol" and rest != "name":
            continue
        values = list(dict.fromkeys(frame[column].map(plain)))
        shown = ", ".join(value or "none" for value in values[:6])
        found.append((header(column), shown + (" …" if len(values) > 6 else "")))
    return found


def _provenance(run: RunDir) -> dict[str, Any]:
    try:
        return read_json(run.run)
    except CorruptFileError:
        return {}


def _last_lines(log: Path) -> str:
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(text.splitlines()[-LOG_LINES:])


def _number(row: pd.Series, name: str) -> float | None:
    value = row.get(name)
    return None if value is None or pd.isna(value) else float(value)


def _percent(row: pd.Series, name: str) -> float | None:
    value = _number(row, name)
    return None if value is None else 100 * value
