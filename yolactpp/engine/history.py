"""metrics.jsonl and whatever else is told of a run's course."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from yolactpp.run_dir import append_jsonl, read_jsonl, write_bytes


class MetricWriter(Protocol):
    """A place that curves are sent to; opened at the first record, so that building one is free."""

    def write(self, record: dict[str, Any]) -> None:
        """A flat record with `iteration` and numbers."""

    def conclude(self, document: dict[str, Any]) -> None:
        """The content of eval.json, once, after the last record."""

    def close(self) -> None: ...


class History:
    """Appends records to metrics.jsonl and hands them to the other writers.

    A record of training has iteration, lr, each loss and grad_norm; one of validation has
    iteration and `val/bbox_AP`, `val/segm_AP`, `val/segm_AP50` and so on. `iteration` counts the
    steps done.

    Args:
        path: the JSON-lines file.
        writers: other places for the same records.
    """

    def __init__(self, path: Path, writers: Iterable[MetricWriter] = ()) -> None:
        self.path = path
        self.writers = list(writers)

    def write(self, record: dict[str, Any]) -> None:
        append_jsonl(self.path, record)
        for writer in self.writers:
            writer.write(record)

    def truncate(self, iteration: int, validated_at: int) -> None:
        """Forget what a resumed run will log again.

        Args:
            iteration: last step of the checkpoint.
            validated_at: last validation that the checkpoint knows of.
        """
        kept = [
            record
            for record in read_jsonl(self.path)
            if record.get("iteration", 0) <= (validated_at if is_validation(record) else iteration)
        ]
        lines = "".join(json.dumps(record) + "\n" for record in kept)
        write_bytes(self.path, lines.encode())

    def conclude(self, document: dict[str, Any]) -> None:
        """Hand a finished run's results, the content of eval.json, to the writers."""
        for writer in self.writers:
            writer.conclude(document)

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


def is_validation(record: dict[str, Any]) -> bool:
    """Whether a line of metrics.jsonl is of a validation, not of a training step."""
    return any(name.startswith("val/") for name in record)
