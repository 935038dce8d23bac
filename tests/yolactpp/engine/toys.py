"""A segmenter, a loader and an evaluator small enough to train in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from yolactpp.engine.distributed import World
from yolactpp.engine.ema import ExponentialMovingAverage
from yolactpp.engine.evaluator import Evaluation, EvaluationInterrupted
from yolactpp.engine.history import History
from yolactpp.engine.precision import Precision
from yolactpp.engine.progress import SilentProgress
from yolactpp.engine.schedule import Schedule
from yolactpp.engine.seed import seed_everything
from yolactpp.engine.step import OptimizerStep
from yolactpp.engine.trainer import Cadence, Surroundings, Trainer
from yolactpp.engine.training_state import ModelIdentity, TrainingState
from yolactpp.run_dir import RunDir
from yolactpp.structures import Targets

CPU = torch.device("cpu")
BATCH = 4


class ToySegmenter(nn.Module):
    """Learns to give 1; draws from torch's generator at every step, as a criterion may."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(
        self, images_B3HW: Tensor, targets: Targets, progress: float = 0.0
    ) -> dict[str, Tensor]:
        return self.training_losses(images_B3HW, targets, progress)

    def training_losses(
        self,
        images_B3HW: Tensor,
        targets: Targets,  # noqa: ARG002 - as Segmenter
        progress: float = 0.0,
    ) -> dict[str, Tensor]:
        noisy_B3 = self.dropout(images_B3HW.mean((2, 3))) + 0.1 * torch.rand(3)
        mask = (self.layer(noisy_B3) - 1).square().mean()
        box = self.layer.weight.square().sum() * (1 + progress)
        return {"box": box, "mask": mask, "mask/mse": mask.detach()}


class ToyEvaluator:
    """An AP that follows the weights; `on_call` may act in the middle of an evaluation."""

    def __init__(self) -> None:
        self.calls = 0
        self.on_call: Callable[[], None] = lambda: None

    def __call__(
        self, segmenter: Any, should_stop: Callable[[], bool] = lambda: False
    ) -> Evaluation:
        segmenter.eval()
        self.calls += 1
        torch.rand(7)
        self.on_call()
        if should_stop():
            raise EvaluationInterrupted
        score = float(segmenter.layer.weight.detach().sum().sigmoid())
        metrics = {"bbox": {"AP": score}, "segm": {"AP": score, "AP50": score}}
        return Evaluation(metrics, [], [])

    def measure_speed(self, _segmenter: Any) -> dict[str, Any]:
        return {"fps": 1.0}


def toy_batch(iteration: int) -> tuple[Tensor, Targets]:
    generator = torch.Generator().manual_seed(iteration)
    boxes = [torch.rand(1, 4, generator=generator) for _ in range(BATCH)]
    labels = [torch.zeros(1, dtype=torch.int64) for _ in range(BATCH)]
    masks = [torch.ones(1, 4, 4, dtype=torch.uint8) for _ in range(BATCH)]
    images = torch.rand(BATCH, 3, 4, 4, generator=generator)
    return images, Targets.from_images(boxes, labels, masks)


def toy_batches(start: int, end: int) -> Iterator[tuple[Tensor, Targets]]:
    for iteration in range(start, end):
        yield toy_batch(iteration)


def toy_trainer(
    folder: Path,
    *,
    iterations: int = 20,
    checkpoint_every: int = 4,
    validate_every: int = 6,
    ema_decay: float | None = None,
    loader_from: Callable[[int], Iterable[Any]] | None = None,
) -> Trainer:
    """A trainer at iteration 0 of a run in `folder`."""
    seed_everything(0)
    model = ToySegmenter()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    precision = Precision("fp32", CPU)
    identity = ModelIdentity("cafe0123", {"name": "toy"}, ["thing"], [7], 4, {"name": "sound"})
    ema = ExponentialMovingAverage(model, ema_decay) if ema_decay is not None else None
    run = RunDir(folder)
    folder.mkdir(exist_ok=True)
    evaluator: Any = ToyEvaluator()
    return Trainer(
        TrainingState(model, optimizer, precision, identity, ema),
        OptimizerStep(model, optimizer, precision, World()),
        Schedule(iterations, 0.05, 5, 0.01, (15,), 0.1),
        Cadence(checkpoint_every, validate_every, 1),
        loader_from or (lambda start: toy_batches(start, iterations)),
        evaluator,
        BATCH,
        Surroundings(run, World(), CPU, None, History(run.metrics), SilentProgress()),
    )
