"""One optimiser step: losses of every part of the batch, gradients, clipping, update."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from yolactpp.engine.batches import Batch, split_batch
from yolactpp.engine.distributed import World
from yolactpp.engine.failures import NonFiniteError
from yolactpp.engine.precision import Precision


@dataclass(frozen=True)
class StepResult:
    """What a step logs.

    Args:
        losses: every loss by name and their `total`, averaged over parts and ranks.
        grad_norm: L2 norm of all gradients before clipping; not finite where fp16 skipped.
        stop_requested: whether any rank was asked to stop.
    """

    losses: dict[str, float]
    grad_norm: float
    stop_requested: bool


class OptimizerStep:
    """Trains a model by one batch at a time.

    A batch in `accumulate` parts gives the mean of the parts' gradients; each part is normalised
    by its own positives.

    Args:
        model: returns the dictionary of losses; possibly wrapped for several ranks.
        optimizer: over the model's parameters.
        precision: autocast and loss scaling.
        world: the ranks that share the batch.
        accumulate: parts of a batch, to save memory.
        gradient_clip: largest gradient norm; None clips nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        world: World,
        *,
        accumulate: int = 1,
        gradient_clip: float | None = None,
    ) -> None:
        if accumulate < 1:
            raise ValueError(f"batch_size.accumulate={accumulate}: at least 1 is needed")
        if gradient_clip is not None and gradient_clip <= 0:
            raise ValueError(f"schedule.gradient_clip={gradient_clip}: above 0, or null for none")
        self.model = model
        self.optimizer = optimizer
        self.precision = precision
        self.world = world
        self.accumulate = accumulate
        self.gradient_clip = gradient_clip

    def __call__(
        self, batch: Batch, iteration: int, progress: float, *, stop_requested: bool = False
    ) -> StepResult:
        """Take the step.

        Raises:
            NonFiniteError: a loss or, unless fp16 is searching its scale, a gradient is not finite;
                raised on all ranks alike, before the weights change.
        """
        self.optimizer.zero_grad(set_to_none=True)
        parts = split_batch(batch, self.accumulate)
        means: dict[str, float] = {}
        stop = False
        for index, part in enumerate(parts):
            with self._without_exchange(is_last=index == len(parts) - 1):
                losses = self._losses(part, progress)
                total = torch.stack([v for k, v in losses.items() if "/" not in k]).sum()
                values, stop_here = self._share(losses, total, stop_requested)
                _require_finite(values, iteration)
                self.precision.backward(total / self.accumulate)
            stop = stop or stop_here
            for name, value in values.items():
                means[name] = means.get(name, 0.0) + value / self.accumulate
        grad_norm = self._update(iteration, means)
        return StepResult(means, grad_norm, stop)

    def _losses(self, part: Batch, progress: float) -> dict[str, Tensor]:
        images_B3HW, targets = part
        with self.precision.autocast():
            return self.model(images_B3HW, targets, progress)

    def _share(
        self, losses: dict[str, Tensor], total: Tensor, stop_requested: bool
    ) -> tuple[dict[str, float], bool]:
        """Means over ranks, in one exchange together with the wish to stop: all ranks agree."""
        wish = total.new_tensor(float(stop_requested))
        scalars = [*losses.values(), total, wish]
        packed = torch.stack([each.detach().float().reshape(()) for each in scalars])
        *values, wishes = self.world.sum(packed).tolist()
        names = [*losses, "total"]
        means = {name: v / self.world.size for name, v in zip(names, values, strict=True)}
        return means, wishes > 0

    def _update(self, iteration: int, losses: dict[str, float]) -> float:
        self.precision.unscale(self.optimizer)
        named = [(n, p) for n, p in self.model.named_parameters() if p.grad is not None]
        gradients = [p.grad for _, p in named if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients, foreach=True)
        grad_norm = float(norm)
        if not math.isfinite(grad_norm) and not self.precision.skips_overflow:
            raise NonFiniteError(f"gradient of {_first_non_finite(named)}", iteration, losses)
        if self.gradient_clip is not None:
            torch.nn.utils.clip_grads_with_norm_([p for _, p in named], self.gradient_clip, norm)
        self.precision.step(self.optimizer)
        return grad_norm

    def _without_exchange(self, *, is_last: bool) -> AbstractContextManager[Any]:
        """Ranks exchange gradients once a step, with its last part."""
        if is_last or not isinstance(self.model, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return self.model.no_sync()


def _require_finite(values: dict[str, float], iteration: int) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise NonFiniteError(name, iteration, values)


def _first_non_finite(named: list[tuple[str, nn.Parameter]]) -> str:
    for name, parameter in named:
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            return name
    return "all parameters together"
