"""A graph as an ONNX file, with what its user must know inside."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

OPSET = 20
METADATA_KEY = "yolactpp"
# Says at every export that an initialiser which is an output was not merged with another.
CHATTY = ("onnxscript", "onnx_ir")


def write_onnx(
    graph: nn.Module,
    example: Tensor,
    path: Path,
    *,
    input_name: str,
    output_names: Sequence[str],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Trace a graph of one input, whose first dimension stays open, and write it.

    Args:
        graph: in evaluation mode.
        example: input of at least two rows.
        path: of the file, weights included.
        input_name: of the input.
        output_names: in order.
        metadata: JSON values, kept in the file under METADATA_KEY.
    """
    with _quiet():
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[input_name],
            output_names=list(output_names),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    if metadata is not None:
        program.model.metadata_props[METADATA_KEY] = json.dumps(metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(str(path), external_data=False)


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
