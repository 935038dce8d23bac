"""Curves in TensorBoard, Weights & Biases and MLflow; each imported at its first record."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any


class TensorBoardWriter:
    """Event files in the run's folder: `tensorboard --logdir outputs`.

    Args:
        folder: the run's folder; events go to its `tensorboard/`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder) / "tensorboard"
        self._writer: Any = None

    def write(self, record: dict[str, Any]) -> None:
        """The first record's iteration also hides what a killed attempt had logged after it."""
        iteration, values = split_record(record)
        if self._writer is None:
            module = _imported("torch.utils.tensorboard", "tensorboard", "tensorboard")
            self._writer = module.SummaryWriter(str(self.folder), purge_step=iteration)
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class WandbWriter:
    """A Weights & Biases run that a resumed training goes on with.

    Args:
        folder: the run's folder; its name is the run's id and name.
        project: project at Weights & Biases.
        entity: team or user; None is the one logged in.
        mode: online, offline or disabled.
    """

    def __init__(
        self, folder: Path, project: str, entity: str | None = None, mode: str = "online"
    ) -> None:
        self.folder = Path(folder)
        self.project = project
        self.entity = entity
        self.mode = mode
        self._run: Any = None

    def write(self, record: dict[str, Any]) -> None:
        iteration, values = split_record(record)
        if self._run is None:
            name = self.folder.name
            self._run = _imported("wandb", "wandb", "loggers").init(
                project=self.project,
                entity=self.entity,
                mode=self.mode,
                id=name,
                name=name,
                dir=str(self.folder),
                resume="allow",
            )
        self._run.log(values, step=iteration)

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()


class MlflowWriter:
    """An MLflow run.

    Args:
        folder: the run's folder; its name becomes the run's name.
        experiment: name of the MLflow experiment.
        tracking_uri: server or folder; None is MLflow's own default.
    """

    def __init__(self, folder: Path, experiment: str, tracking_uri: str | None = None) -> None:
        self.folder = Path(folder)
        self.experiment = experiment
        self.tracking_uri = tracking_uri
        self._mlflow: Any = None

    def write(self, record: dict[str, Any]) -> None:
        iteration, values = split_record(record)
        if self._mlflow is None:
            self._mlflow = _imported("mlflow", "mlflow-skinny", "loggers")
            if self.tracking_uri is not None:
                self._mlflow.set_tracking_uri(self.tracking_uri)
            self._mlflow.set_experiment(self.experiment)
            self._mlflow.start_run(run_name=self.folder.name)
        self._mlflow.log_metrics(values, step=iteration)

    def close(self) -> None:
        if self._mlflow is not None:
            self._mlflow.end_run()


def split_record(record: dict[str, Any]) -> tuple[int, dict[str, float]]:
    """A record's iteration and its numbers."""
    values = {
        name: float(value)
        for name, value in record.items()
        if name != "iteration" and isinstance(value, int | float)
    }
    return int(record["iteration"]), values


def _imported(module: str, package: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"logger needs the package {package}: pip install 'yolactpp-losses[{extra}]', "
            "or choose logger=jsonl"
        ) from error
