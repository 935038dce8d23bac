"""A run in MLflow's store: a server, or files in a folder."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from yolactpp.engine.writers.records import (
    RESULT_COLUMNS,
    as_markdown,
    final_values,
    flat,
    imported,
    read_settings,
    result_rows,
    split_record,
)

TAG = "yolactpp.run"
# What MLflow takes at once, and the longest value of a parameter.
BATCH = 100
LONGEST = 500


class MlflowWriter:
    """An MLflow run that a resumed training goes on with, found by the run's folder's name.

    `mask/bce` is called `mask.bce` there.

    Args:
        folder: the run's folder.
        experiment: name of the MLflow experiment.
        tracking_uri: server or folder. None is the environment's MLFLOW_TRACKING_URI; without it,
            files beside the runs: `mlflow ui --backend-store-uri outputs/SWEEP/mlruns`.
    """

    def __init__(self, folder: Path, experiment: str, tracking_uri: str | None = None) -> None:
        self.folder = Path(folder)
        self.experiment = experiment
        self.tracking_uri = tracking_uri
        self._client: Any = None
        self._run_id = ""

    def write(self, record: dict[str, Any]) -> None:
        iteration, values = split_record(record)
        self._log_metrics(values, iteration)

    def conclude(self, document: dict[str, Any]) -> None:
        self._log_metrics(final_values(document), document["iteration"])
        self._client.log_dict(self._run_id, document, "eval.json")
        table = as_markdown(RESULT_COLUMNS, result_rows(document))
        self._client.log_text(self._run_id, table, "results.md")

    def close(self) -> None:
        if self._client is not None:
            self._client.set_terminated(self._run_id)

    def _log_metrics(self, values: dict[str, float], iteration: int) -> None:
        self._open()
        entities = imported("mlflow.entities", "mlflow-skinny", "loggers")
        now_ms = int(1000 * time.time())
        # In a store of files a slash makes a folder, and `mask` beside `mask/bce` would be both.
        metrics = [
            entities.Metric(name.replace("/", "."), value, now_ms, iteration)
            for name, value in values.items()
        ]
        self._client.log_batch(self._run_id, metrics=metrics)

    def _open(self) -> None:
        if self._client is not None:
            return
        module = imported("mlflow", "mlflow-skinny", "loggers")
        self._client = module.MlflowClient(tracking_uri=self._store())
        found = self._client.get_experiment_by_name(self.experiment)
        experiment = (
            found.experiment_id if found else self._client.create_experiment(self.experiment)
        )
        name = self.folder.name
        known = self._client.search_runs([experiment], f"tags.`{TAG}` = '{name}'")
        if known:
            self._run_id = known[0].info.run_id
            self._client.update_run(self._run_id, status="RUNNING")
            return
        run = self._client.create_run(experiment, run_name=name, tags={TAG: name})
        self._run_id = run.info.run_id
        self._log_settings()

    def _log_settings(self) -> None:
        settings = read_settings(self.folder)
        # Not config.yaml: a folder with a file of that name is taken for a run.
        self._client.log_dict(self._run_id, settings, "settings.yaml")
        entities = imported("mlflow.entities", "mlflow-skinny", "loggers")
        parameters = [
            entities.Param(name, str(value)[:LONGEST]) for name, value in flat(settings).items()
        ]
        for start in range(0, len(parameters), BATCH):
            self._client.log_batch(self._run_id, params=parameters[start : start + BATCH])

    def _store(self) -> str | None:
        uri = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            uri = (self.folder.absolute().parent / "mlruns").as_uri()
        if uri.startswith("file:") or "://" not in uri:
            # MLflow 3 refuses stores of files, which need no database, unless it is told so.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        return uri
