"""The training loop: steps, logs, validations, checkpoints, and stopping in good order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import nn

from yolactpp.engine.batches import Batch, to_device
from yolactpp.engine.checkpoint import load_latest, save_checkpoint
from yolactpp.engine.distributed import World
from yolactpp.engine.evaluator import Evaluation, EvaluationInterrupted, Evaluator
from yolactpp.engine.failures import NonFiniteError, RunStopped
from yolactpp.engine.history import History
from yolactpp.engine.nonfinite import save_nonfinite_batch
from yolactpp.engine.progress import ProgressReporter
from yolactpp.engine.schedule import Schedule
from yolactpp.engine.seed import generator_state, preserved_generators, restore_generators
from yolactpp.engine.status import RunStatus
from yolactpp.engine.step import OptimizerStep, StepResult
from yolactpp.engine.throughput import Throughput
from yolactpp.engine.training_state import TrainingState
from yolactpp.run_dir import RunDir

log = logging.getLogger(__name__)

OnValidation = Callable[[int, dict[str, Any]], None]


@dataclass(frozen=True)
class Cadence:
    """How often things happen, in iterations.

    Args:
        checkpoint_every: between two checkpoints; one is also written at the end and on a stop.
        validate_every: between two validations; the last iteration is always validated.
        log_every: between two lines of metrics.jsonl.

    Raises:
        ValueError: a value is below 1.
    """

    checkpoint_every: int
    validate_every: int
    log_every: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"schedule.{name}={value}: at least 1 is needed")


@dataclass(frozen=True)
class Surroundings:
    """Where a trainer works and whom it tells.

    Args:
        run: the run's files.
        world: the ranks of the run.
        device: where the model is.
        status: heartbeat; None on ranks other than 0.
        history: metrics.jsonl and other curves; None on ranks other than 0.
        progress: what a person sees.
        channels_last: memory layout of the images.
        on_validation: called on rank 0 with iteration and metrics; may raise to end the run.
    """

    run: RunDir
    world: World
    device: torch.device
    status: RunStatus | None
    history: History | None
    progress: ProgressReporter
    channels_last: bool = False
    on_validation: OnValidation | None = None


class Trainer:
    """Trains a state to the end of its schedule, from wherever its checkpoint says it is.

    Args:
        state: model, optimiser and all else that a checkpoint holds.
        step: takes one optimiser step.
        schedule: learning rate and number of iterations.
        cadence: how often to log, validate and save.
        loader_from: batches from an iteration on, one an iteration.
        evaluator: metrics of a model on the validation set.
        batch_size: images of one step, over all ranks.
        around: files, ranks, device, listeners.
    """

    def __init__(
        self,
        state: TrainingState,
        step: OptimizerStep,
        schedule: Schedule,
        cadence: Cadence,
        loader_from: Callable[[int], Iterable[Batch]],
        evaluator: Evaluator,
        batch_size: int,
        around: Surroundings,
    ) -> None:
        self.state = state
        self.step = step
        self.schedule = schedule
        self.cadence = cadence
        self.loader_from = loader_from
        self.evaluator = evaluator
        self.around = around
        self.throughput = Throughput(batch_size)
        self._stop_reason: str | None = None

    def request_stop(self, reason: str) -> None:
        """Ask to stop after the present step; safe in a signal handler.

        Args:
            reason: `interrupted` or `preempted`.
        """
        self._stop_reason = reason

    @property
    def stop_requested(self) -> bool:
        return self._stop_reason is not None

    def resume(self) -> int:
        """Take over the last good checkpoint, if there is one; the iteration to go on from.

        Raises:
            CheckpointError: there are checkpoints, but none can be used.
        """
        content = load_latest(self.around.run.last_checkpoint)
        if content is not None:
            self.state.restore(content, self.around.world.rank)
        if self.around.history is not None:
            # The final validation is made again until its result is written.
            validated_at = min(self.state.validated_at, self.schedule.iterations - 1)
            self.around.history.truncate(self.state.iteration, validated_at)
        return self.state.iteration

    def run(self) -> Evaluation | None:
        """Train to the end and evaluate the final weights; the evaluation, on rank 0.

        Raises:
            RunStopped: asked to stop; a checkpoint is written.
            NonFiniteError: a loss is not finite; the batch is written.
            CheckpointError: the disk did not take a checkpoint.
        """
        total = self.schedule.iterations
        self.around.progress.start(self.state.iteration, total)
        try:
            self._catch_up_validation()
            self._train_until(total)
            evaluation = self._validate()
            self._save()
        finally:
            self.around.progress.stop()
        return evaluation

    def measure_speed(self) -> dict[str, Any]:
        """`speed` of eval.json for the evaluated weights."""
        model = self.state.evaluated_model.eval()
        return self.evaluator.measure_speed(_as_segmenter(model))

    def _train_until(self, total: int) -> None:
        generators = generator_state()
        batches = iter(self.loader_from(self.state.iteration))
        restore_generators(generators)
        self.state.model.train()
        while self.state.iteration < total:
            result = self._take_step(next(batches))
            self._report(result)
            iteration = self.state.iteration
            if result.stop_requested:
                self._stop()
            if iteration < total and iteration % self.cadence.validate_every == 0:
                self._validate()
            if iteration % self.cadence.checkpoint_every == 0 or iteration == total:
                self._save()

    def _take_step(self, batch: Batch) -> StepResult:
        iteration = self.state.iteration
        for group in self.state.optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate(iteration)
        batch = to_device(batch, self.around.device, channels_last=self.around.channels_last)
        progress = iteration / self.schedule.iterations
        try:
            result = self.step(batch, iteration, progress, stop_requested=self.stop_requested)
        except NonFiniteError as error:
            path = save_nonfinite_batch(
                self.around.run.path,
                batch,
                self.state.model,
                error,
                progress,
                self.around.world.rank,
            )
            log.error("%s; the batch is in %s", error, path)
            raise
        if self.state.ema is not None:
            self.state.ema.update(self.state.model)
        self.state.iteration = iteration + 1
        return result

    def _report(self, result: StepResult) -> None:
        self.throughput.step()
        iteration, total = self.state.iteration, self.schedule.iterations
        images_per_second = self.throughput.images_per_second
        eta_s = self.throughput.eta_s(total - iteration)
        self.around.progress.update(iteration, result.losses, images_per_second, eta_s)
        if self.around.status is not None:
            self.around.status.report(
                iteration=iteration,
                total=total,
                images_per_second=round(images_per_second, 2),
                eta_s=round(eta_s, 1),
                losses=result.losses,
            )
        if self.around.history is not None and (
            iteration % self.cadence.log_every == 0 or iteration in (1, total)
        ):
            self.around.history.write(
                {
                    "iteration": iteration,
                    "lr": self.state.optimizer.param_groups[0]["lr"],
                    **result.losses,
                    "grad_norm": result.grad_norm,
                    "images_per_second": round(images_per_second, 2),
                }
            )

    def _catch_up_validation(self) -> None:
        """The validation that a stop kept from happening, before the first new step."""
        iteration = self.state.iteration
        due = iteration > 0 and iteration % self.cadence.validate_every == 0
        if due and iteration < self.schedule.iterations and self.state.validated_at < iteration:
            self._validate()

    def _validate(self) -> Evaluation | None:
        self.throughput.pause()
        model = self.state.evaluated_model
        try:
            with preserved_generators():
                evaluation = self.evaluator(_as_segmenter(model), lambda: self.stop_requested)
        except EvaluationInterrupted:
            self._stop()
        finally:
            self.state.model.train()
        self.state.validated_at = self.state.iteration
        metrics = self.around.world.broadcast(evaluation.metrics if evaluation else None)
        self._record_validation(metrics)
        self.throughput.pause()
        return evaluation

    def _record_validation(self, metrics: dict[str, Any]) -> None:
        iteration = self.state.iteration
        score = metrics["segm"]["AP"]
        score = -1.0 if score is None else score
        is_best = self.state.best is None or score > self.state.best["segm_AP"]
        if is_best:
            self.state.best = {"iteration": iteration, "segm_AP": score}
            self._save(best=True)
        if self.around.history is not None:
            record = {
                f"val/{kind}_{name}": value
                for kind, values in metrics.items()
                for name, value in values.items()
                if isinstance(value, int | float)
            }
            self.around.history.write({"iteration": iteration, **record})
        if self.around.status is not None:
            validation = {"iteration": iteration, "segm_AP": score}
            self.around.status.report(validation=validation, best=self.state.best)
        if self.around.world.is_main:
            log.info(
                "iteration %d: mask AP %.4f, box AP %s", iteration, score, metrics["bbox"]["AP"]
            )
            if self.around.on_validation is not None:
                self.around.on_validation(iteration, metrics)

    def _save(self, *, best: bool = False) -> None:
        generators = self.around.world.gather(generator_state())
        if not self.around.world.is_main:
            return
        run = self.around.run
        path = run.best_checkpoint if best else run.last_checkpoint
        save_checkpoint(path, self.state.to_checkpoint(generators), keep_previous=not best)

    def _stop(self) -> NoReturn:
        """Write a checkpoint and stop, for the reason of the first rank that has one."""
        self._save()
        reasons = self.around.world.gather(self._stop_reason)
        reason = next((each for each in reasons if each is not None), None)
        raise RunStopped(self.around.world.broadcast(reason), self.state.iteration)


def _as_segmenter(model: nn.Module) -> Any:
    """A segmenter is a module too; type checkers know no intersection of the two."""
    return model
