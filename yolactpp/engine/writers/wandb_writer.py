"""A run at Weights & Biases, online or in a folder to be sent later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yolactpp.engine.writers.records import (
    RESULT_COLUMNS,
    final_values,
    imported,
    read_settings,
    result_rows,
    split_record,
)


class WandbWriter:
    """A Weights & Biases run that a resumed training goes on with.

    Args:
        folder: the run's folder; its name is the run's id and name.
        project: project at Weights & Biases.
        entity: team or user; None is the one logged in.
        mode: online, offline (`wandb sync FOLDER/wandb/offline-*` sends it) or disabled; None is
            what the environment's WANDB_MODE says, online without it.
    """

    def __init__(
        self, folder: Path, project: str, entity: str | None = None, mode: str | None = None
    ) -> None:
        self.folder = Path(folder)
        self.project = project
        self.entity = entity
        self.mode = mode
        self._module: Any = None
        self._run: Any = None

    def write(self, record: dict[str, Any]) -> None:
        iteration, values = split_record(record)
        self._opened().log(values, step=iteration)

    def conclude(self, document: dict[str, Any]) -> None:
        run = self._opened()
        rows = [list(row) for row in result_rows(document)]
        run.log({"results": self._module.Table(columns=list(RESULT_COLUMNS), data=rows)})
        run.summary.update(final_values(document))

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()

    def _opened(self) -> Any:
        if self._run is None:
            self._module = imported("wandb", "wandb", "loggers")
            name = self.folder.name
            self._run = self._module.init(
                project=self.project,
                entity=self.entity,
                mode=self.mode,
                id=name,
                name=name,
                config=read_settings(self.folder),
                dir=str(self.folder),
                resume="allow",
            )
        return self._run
