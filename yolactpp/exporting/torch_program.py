"""A graph as a program of torch.export (.pt2)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

METADATA_FILE = "yolactpp.json"


def write_program(
    graph: nn.Module, example: Tensor, path: Path, metadata: Mapping[str, Any] | None = None
) -> None:
    """Trace a graph of one input, whose first dimension stays open, and write it.

    `torch.export.load(path).module()` is a function again; a program with native deformable
    convolutions needs `import torchvision` before that.

    Args:
        graph: in evaluation mode.
        example: input of at least two rows.
        path: of the file.
        metadata: JSON values, kept in the file as METADATA_FILE (`extra_files` of `load`).
    """
    batch = torch.export.Dim("batch")
    program = torch.export.export(graph, (example,), dynamic_shapes=({0: batch},), strict=False)
    extra = {} if metadata is None else {METADATA_FILE: json.dumps(metadata)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Each part of a constant is written with the whole of it, which is what is wanted here.
        warnings.filterwarnings("ignore", message="No complete tensor found in the group")
        torch.export.save(program, path, extra_files=extra)
