"""Everything a run needs to go on exactly where it was, gathered into one checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from yolactpp.engine.ema import ExponentialMovingAverage
from yolactpp.engine.failures import CheckpointError
from yolactpp.engine.precision import Precision
from yolactpp.engine.seed import restore_generators


@dataclass(frozen=True)
class ModelIdentity:
    """What a checkpoint says of its model, so that it can be used without the run's folder.

    Args:
        run_id: the run's identity.
        model_config: plain resolved settings from which build.py makes the same network.
        class_names: foreground classes by label.
        category_ids: the data set's category id of each label.
        image_size: side of the network's square input in pixels.
        protocol: plain resolved protocol settings.
    """

    run_id: str
    model_config: dict[str, Any]
    class_names: list[str]
    category_ids: list[int]
    image_size: int
    protocol: dict[str, Any]


@dataclass
class TrainingState:
    """A run between two steps.

    Args:
        model: the trained segmenter, not wrapped.
        optimizer: over the model's parameters.
        precision: holds the gradient scaler.
        identity: what the checkpoint says of its model.
        ema: averaged weights, or None.
        iteration: optimiser steps done.
        validated_at: iteration of the last validation; -1 before the first.
        best: iteration and mask AP of the best validation so far.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    precision: Precision
    identity: ModelIdentity
    ema: ExponentialMovingAverage | None = None
    iteration: int = 0
    validated_at: int = -1
    best: dict[str, float] | None = None

    @property
    def evaluated_model(self) -> nn.Module:
        """The averaged weights where there are some, else the trained ones."""
        return self.ema.model if self.ema is not None else self.model

    def to_checkpoint(self, generators: list[dict[str, Any]]) -> dict[str, Any]:
        """Plain values and tensors, loadable with weights_only; generators of every rank."""
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.precision.state_dict(),
            "rng": generators,
            "iteration": self.iteration,
            "validated_at": self.validated_at,
            "best": self.best,
            **asdict(self.identity),
        }

    def restore(self, content: dict[str, Any], rank: int = 0) -> None:
        """Take over a checkpoint of the same run.

        A rank that the checkpoint does not know, because the run goes on with more processes, takes
        the generators of rank 0.

        Raises:
            CheckpointError: it belongs to another run or another network.
        """
        if content["run_id"] != self.identity.run_id:
            raise CheckpointError(
                f"the checkpoint is of run {content['run_id']}, the folder of run "
                f"{self.identity.run_id}: it was copied from elsewhere; remove it"
            )
        try:
            self.model.load_state_dict(content["model"])
            self.optimizer.load_state_dict(content["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint does not fit the network: {error}") from error
        if self.ema is not None:
            self.ema.load_state_dict(content["ema"])
        self.precision.load_state_dict(content["scaler"])
        self.iteration = content["iteration"]
        self.validated_at = content["validated_at"]
        self.best = content["best"]
        generators = content["rng"]
        restore_generators(generators[rank if rank < len(generators) else 0])
