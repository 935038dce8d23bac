"""One run from its frozen settings to eval.json, by one process or several."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from yolactpp import build
from yolactpp.data.annotation_file import DatasetError
from yolactpp.data.coco import CocoDataset
from yolactpp.data.image_file import ImageError
from yolactpp.engine.compilation import compile_network
from yolactpp.engine.distributed import World, choose_device, joined_world, sum_over_ranks
from yolactpp.engine.ema import ExponentialMovingAverage
from yolactpp.engine.evaluator import Evaluation
from yolactpp.engine.failures import BadInputError, NonFiniteError, RunStopped, reason_of
from yolactpp.engine.history import History
from yolactpp.engine.model_card import write_model_card
from yolactpp.engine.precision import Precision
from yolactpp.engine.progress import SilentProgress, choose_progress
from yolactpp.engine.rank_failure import forget_failure, leave_failure, left_failure
from yolactpp.engine.run_lock import RunLock
from yolactpp.engine.run_log import log_to_file
from yolactpp.engine.schedule import Schedule
from yolactpp.engine.seed import make_deterministic, seed_everything
from yolactpp.engine.status import RunStatus
from yolactpp.engine.step import OptimizerStep
from yolactpp.engine.stop_signals import StopSignals
from yolactpp.engine.trainer import OnValidation, Surroundings, Trainer
from yolactpp.engine.training_state import ModelIdentity, TrainingState
from yolactpp.fine_tuning import start_from
from yolactpp.frozen_run import begin_attempt
from yolactpp.identity import run_id
from yolactpp.results import evaluation_document, write_results
from yolactpp.run_dir import RunDir, State
from yolactpp.settings import schedule_of

log = logging.getLogger(__name__)

Config = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a run is trained.

    Args:
        run: the run's files.
        world: its ranks.
        device: this rank's.
        status: None on ranks other than 0.
    """

    run: RunDir
    world: World
    device: torch.device
    status: RunStatus | None


def run_training(run: RunDir, config: Config, on_validation: OnValidation | None = None) -> None:
    """Train a run to its end from wherever it stands, and write its results.

    Waits while another process trains in the folder; returns at once if that one finished it.

    Raises:
        BadInputError: settings that cannot be built.
        RunStopped: asked to stop; a checkpoint is written.
        NonFiniteError, CheckpointError: see `Trainer.run`.
    """
    with bad_input():
        device = choose_device(config["runtime"]["device"])
    with joined_world(device.type) as world, _held(run, world):
        if world.broadcast(run.is_finished()):
            return
        log_file = log_to_file(run.log) if world.is_main else nullcontext()
        status = RunStatus(run) if world.is_main else None
        with log_file, status or nullcontext():
            place = Place(run, world, device, status)
            with _truthful_status(place):
                _train(place, config, on_validation)


def _train(place: Place, config: Config, on_validation: OnValidation | None) -> None:
    run, world, device = place.run, place.world, place.device
    if place.status is not None:
        attempt = begin_attempt(run, str(device))
        place.status.set_state(State.RUNNING, attempt=attempt, reason=None, message=None)
        log.info("%s, attempt %d, on %s of %s", run.path, attempt, device, socket.gethostname())
    seed_everything(config["seed"])
    make_deterministic(device)
    with bad_input():
        config = build.provide_dataset(config)
        if world.is_main and not run.last_checkpoint.exists():
            build.check_dataset_of(config)
        history = History(run.metrics, build.build_writers(config, run)) if world.is_main else None
        trainer = build_trainer(place, config, history, on_validation)
    _describe_settings(place, config, trainer)
    resumed = trainer.resume()
    if resumed:
        log.info("going on from iteration %d", resumed)
    try:
        with StopSignals(trainer.request_stop) as signals:
            try:
                with bad_data():
                    evaluation = trainer.run()
            except RunStopped as stop:
                if place.status is not None:
                    place.status.set_state(
                        State(stop.reason), reason=stop.reason, message=str(stop)
                    )
                signals.forward()
                raise
        if evaluation is not None:
            _finish(place, config, trainer, evaluation, history)
    finally:
        if history is not None:
            history.close()


def build_trainer(
    place: Place,
    config: Config,
    history: History | None = None,
    on_validation: OnValidation | None = None,
) -> Trainer:
    """The trainer of a run, at iteration 0."""
    world, device, runtime = place.world, place.device, config["runtime"]
    precision = Precision(config["precision"], device)
    dataset = build.build_dataset(config, "train", cache_images=runtime["cache_images"])
    schedule = schedule_of(config)
    total = config["batch_size"]["total"]
    accumulate = config["batch_size"]["accumulate"]
    check_batch_size(total, accumulate, world.size)
    segmenter = _build_segmenter(place, config, dataset)
    if total // (world.size * accumulate) < config["protocol"]["freeze_batch_norm_below"]:
        segmenter.freeze_batch_norm()
        log.info("batch norm is frozen: fewer images on each GPU than the protocol asks for")
    optimizer = build.build_optimizer(config, segmenter)
    decay = config["schedule"]["ema_decay"]
    state = TrainingState(
        segmenter,
        optimizer,
        precision,
        model_identity(config, dataset),
        ExponentialMovingAverage(segmenter, decay) if decay is not None else None,
    )
    step = OptimizerStep(
        _for_ranks(segmenter, world, device),
        optimizer,
        precision,
        world,
        accumulate=accumulate,
        gradient_clip=config["schedule"]["gradient_clip"],
    )
    progress = choose_progress(runtime["progress"]) if world.is_main else SilentProgress()
    return Trainer(
        state,
        step,
        schedule,
        build.build_cadence(config),
        build.build_loader(config, dataset, schedule.iterations, world, device),
        build.build_evaluator(config, world, device, precision),
        total,
        Surroundings(
            place.run,
            world,
            device,
            place.status,
            history,
            progress,
            runtime["channels_last"],
            on_validation,
        ),
    )


def model_identity(config: Config, dataset: CocoDataset) -> ModelIdentity:
    """What the run's checkpoints say of their model."""
    return ModelIdentity(
        run_id(config),
        config["model"],
        dataset.class_names,
        dataset.category_ids,
        config["image_size"],
        config["protocol"],
    )


def check_batch_size(total: int, accumulate: int, world_size: int) -> None:
    """Refuse a batch that cannot be shared.

    Raises:
        ValueError: out of range, or parts of it would not be equal.
    """
    if total < 1 or accumulate < 1:
        raise ValueError(
            f"batch_size.total={total}, batch_size.accumulate={accumulate}: both at least 1"
        )
    if accumulate > 1 and total % (accumulate * world_size):
        raise ValueError(
            f"batch_size.total={total} is not divided by batch_size.accumulate={accumulate} "
            f"times {world_size} processes"
        )


@contextmanager
def bad_input() -> Iterator[None]:
    """What a constructor refuses is a fault of the settings or the data, not of the program."""
    try:
        yield
    except (ValueError, FileNotFoundError, ImportError) as error:
        raise BadInputError(str(error)) from error


@contextmanager
def bad_data() -> Iterator[None]:
    """A file that turns out to be unusable in the middle of a run is a fault of the data."""
    try:
        yield
    except (DatasetError, ImageError) as error:
        # A data-loading process puts its traceback before the message.
        message = str(error).rpartition(f"{type(error).__name__}: ")[2].strip()
        raise BadInputError(message) from error


def _build_segmenter(place: Place, config: Config, dataset: CocoDataset) -> build.SegmenterModule:
    sums = sum_over_ranks if place.world.size > 1 else None
    if config.get("init") is not None:
        config = {**config, "model": build.without_pretrained(config["model"])}
    segmenter = build.build_segmenter(config, len(dataset.class_names), sums)
    if config.get("init") is not None and not place.run.last_checkpoint.exists():
        start_from(segmenter, config, dataset.class_names)
    runtime = config["runtime"]
    segmenter = segmenter.to(place.device)
    if runtime["channels_last"]:
        segmenter = segmenter.to(memory_format=torch.channels_last)
    compile_network(segmenter.network, runtime["compile"])
    return segmenter


def _for_ranks(segmenter: nn.Module, world: World, device: torch.device) -> nn.Module:
    if world.size == 1:
        return segmenter
    devices = [device] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(segmenter, device_ids=devices)


def _describe_settings(place: Place, config: Config, trainer: Trainer) -> None:
    """Log and store what the settings come to: rate, iterations and images seen."""
    schedule: Schedule = trainer.schedule
    total = config["batch_size"]["total"]
    effective = {
        "batch_size": total,
        "lr": schedule.lr,
        "iterations": schedule.iterations,
        "images_seen": schedule.iterations * total,
    }
    if place.status is not None:
        place.status.report(effective=effective, total=schedule.iterations, iteration=0)
        log.info(
            "batch %d, learning rate %g, %d iterations, %d images seen",
            total,
            schedule.lr,
            schedule.iterations,
            effective["images_seen"],
        )


def _finish(
    place: Place,
    config: Config,
    trainer: Trainer,
    evaluation: Evaluation,
    history: History | None,
) -> None:
    document = evaluation_document(
        config,
        evaluation,
        run_id=run_id(config),
        iteration=trainer.state.iteration,
        annotations_file=trainer.evaluator.truth.annotations_file,
        speed=trainer.measure_speed(),
    )
    write_model_card(place.run, config, document)
    write_results(place.run, document, evaluation)
    if place.status is not None:
        place.status.set_state(State.FINISHED, eta_s=0.0, reason=None, message=None)
    if history is not None:
        history.conclude(document)


@contextmanager
def _held(run: RunDir, world: World) -> Iterator[None]:
    """Rank 0 holds the run's folder; the others go on once it does."""
    with RunLock(run.path) if world.is_main else nullcontext():
        if world.is_main:
            forget_failure(run)
        world.broadcast(None)
        yield


@contextmanager
def _truthful_status(place: Place) -> Iterator[None]:
    """Whatever ends the run early, status.json says so; the error goes on its way."""
    try:
        yield
    except RunStopped:
        raise
    except KeyboardInterrupt:
        _set_state(place, State.INTERRUPTED, "interrupted", "Ctrl-C; start the same command again")
        raise
    except Exception as error:
        if not isinstance(error, BadInputError | NonFiniteError):
            log.debug("failed", exc_info=True)
        _set_failed(place, error)
        raise


def _set_failed(place: Place, error: Exception) -> None:
    """Why the run failed: where this rank only lost another one, that one's error."""
    reason, message = reason_of(error), f"{type(error).__name__}: {error}"
    if not place.world.is_main:
        leave_failure(place.run, place.world.rank, reason, message)
    elif isinstance(error, RuntimeError) and reason == "error":
        reason, message = left_failure(place.run) or (reason, message)
        log.error("%s", message)
    _set_state(place, State.FAILED, reason, message)


def _set_state(place: Place, state: State, reason: str, message: str) -> None:
    if place.status is not None:
        place.status.set_state(state, reason=reason, message=message)
