"""YOLACT++ for studies of mask losses: training, evaluation and use of trained networks.

`yolactpp.load(run_or_checkpoint)(images)` predicts. It is looked up when asked for, so that
importing the package does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yolactpp.loading import load as load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from yolactpp.loading import load

        return load
    raise AttributeError(f"module {__name__} has no attribute {name}")
