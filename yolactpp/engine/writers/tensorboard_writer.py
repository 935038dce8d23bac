"""Event files that TensorBoard shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from yolactpp.engine.writers.records import (
    RESULT_COLUMNS,
    as_markdown,
    final_values,
    imported,
    read_settings,
    result_rows,
    split_record,
)


class TensorBoardWriter:
    """Event files in the run's folder: `tensorboard --logdir outputs`.

    Settings and results are under its Text tab, final metrics among the scalars.

    Args:
        folder: the run's folder; events go to its `tensorboard/`.
    """

    def __init__(self, folder: Path) -> None:
        self.run_folder = Path(folder)
        self.folder = self.run_folder / "tensorboard"
        self._writer: Any = None

    def write(self, record: dict[str, Any]) -> None:
        """The first record's iteration also hides what a killed attempt had logged after it."""
        iteration, values = split_record(record)
        writer = self._opened(iteration)
        for name, value in values.items():
            writer.add_scalar(name, value, iteration)

    def conclude(self, document: dict[str, Any]) -> None:
        iteration = document["iteration"]
        writer = self._opened(iteration)
        for name, value in final_values(document).items():
            writer.add_scalar(name, value, iteration)
        writer.add_text("results", as_markdown(RESULT_COLUMNS, result_rows(document)), iteration)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _opened(self, iteration: int) -> Any:
        if self._writer is None:
            module = imported("torch.utils.tensorboard", "tensorboard", "tensorboard")
            self._writer = module.SummaryWriter(str(self.folder), purge_step=iteration)
            settings = read_settings(self.run_folder)
            if settings:
                # Markdown keeps the line breaks of what is set in by four spaces.
                lines = yaml.safe_dump(settings, sort_keys=False).splitlines()
                text = "\n".join(f"    {line}" for line in lines)
                self._writer.add_text("settings", text, iteration)
        return self._writer
