"""A batch whose loss is not finite, on disk with all that its replay needs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from yolactpp.engine.batches import Batch
from yolactpp.engine.failures import NonFiniteError
from yolactpp.engine.seed import generator_state, restore_generators
from yolactpp.structures import Targets

FILE_NAME = "nonfinite_batch.pt"


def save_nonfinite_batch(
    folder: Path, batch: Batch, model: nn.Module, error: NonFiniteError, progress: float, rank: int
) -> Path:
    """Write the batch and the weights that met it; loadable with weights_only.

    Args:
        folder: the run's folder.
        batch: this rank's images and targets.
        model: the segmenter before the step.
        error: names term and iteration.
        progress: fraction of training done, for scheduled weights.
        rank: ranks other than 0 write their own file.
    """
    images_B3HW, targets = batch
    name = FILE_NAME if rank == 0 else f"nonfinite_batch_rank{rank}.pt"
    content: dict[str, Any] = {
        "term": error.term,
        "iteration": error.iteration,
        "progress": progress,
        "images": images_B3HW,
        "targets": asdict(targets),
        "model": model.state_dict(),
        "rng": generator_state(),
    }
    path = folder / name
    torch.save(content, path)
    return path


def replay(path: Path, segmenter: Any) -> dict[str, torch.Tensor]:
    """The losses of a saved batch once more, with gradients, on a segmenter of the same network.

    The segmenter comes from `yolactpp.build.restore_run`, the file from a run that stopped.
    Generators are those at the time of saving: where a loss samples, it may sample otherwise.
    """
    content = torch.load(path, weights_only=True)
    segmenter.load_state_dict(content["model"])
    segmenter.train()
    restore_generators(content["rng"])
    targets = Targets(**content["targets"])
    return segmenter.training_losses(content["images"], targets, content["progress"])
