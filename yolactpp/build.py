"""From settings to objects: the one place where `hydra.utils.instantiate` is called.

Takes the plain, resolved settings of a frozen config.yaml; whatever it makes takes plain typed
arguments.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object, instantiate
from torch import Tensor, nn

from losses import single
from yolactpp.data.augment import TrainTransform
from yolactpp.data.checks import check_dataset
from yolactpp.data.coco import CocoDataset
from yolactpp.data.generated import ensure_dataset
from yolactpp.data.loader import eval_loader, train_loader
from yolactpp.data.rendering import RenderedBatches
from yolactpp.data.resize import EvalTransform
from yolactpp.engine.batches import Batch
from yolactpp.engine.checkpoint import load_checkpoint
from yolactpp.engine.distributed import World
from yolactpp.engine.evaluator import Evaluator, GroundTruth
from yolactpp.engine.failures import BadInputError, CheckpointError
from yolactpp.engine.history import MetricWriter
from yolactpp.engine.precision import Precision
from yolactpp.engine.trainer import Cadence
from yolactpp.identity import dataset_root
from yolactpp.instantiation_error import explain_instantiation
from yolactpp.run_dir import RunDir

log = logging.getLogger(__name__)

Config = dict[str, Any]
# A structures.Segmenter that is a torch.nn.Module too: type checkers know no intersection.
SegmenterModule = Any
MOST_WORKERS = 8
SPLITS = ("train", "val")


@dataclass(frozen=True)
class Restored:
    """A trained model and what it takes to use it.

    Args:
        segmenter: in evaluation mode, averaged weights where the run had them.
        class_names: by label.
        category_ids: by label.
        image_size: side of the network's input in pixels.
        iteration: optimiser steps behind the weights.
        run_id: the run they come from.
    """

    segmenter: SegmenterModule
    class_names: list[str]
    category_ids: list[int]
    image_size: int
    iteration: int
    run_id: str


def make(node: Config, **parts: Any) -> Any:
    """The object that a node with `_target_` describes, with further arguments.

    A `name` that the target does not take is the option's own and left out.

    Raises:
        BadInputError: unknown target, an argument it does not know (the good ones are listed), or
            a value it refuses.
    """
    try:
        return instantiate(_without_foreign_names(node), **parts, _convert_="all")
    except InstantiationException as error:
        raise BadInputError(explain_instantiation(node, error)) from error


def provide_dataset(config: Config) -> Config:
    """Make a generated data set that is not there yet; the settings with the folder it is in."""
    dataset = config["dataset"]
    if dataset.get("generator") is None:
        return config
    root = dataset_root(dataset)
    ensure_dataset(root, make(dataset["generator"]))
    return {**config, "dataset": {**dataset, "root": root}}


def check_dataset_of(config: Config) -> None:
    """Refuse a data set with faults, all of them in one message.

    Raises:
        BadInputError: there are findings; each names file, entry and fault.
    """
    dataset = config["dataset"]
    findings = check_dataset(
        dataset["root"],
        {name: (dataset[name]["images"], dataset[name]["annotations"]) for name in SPLITS},
        classes=dataset["classes"],
        drop_invalid=dataset["drop_invalid"],
        source=dataset["source"],
    )
    if findings:
        listed = "\n  ".join(map(str, findings))
        raise BadInputError(f"dataset={dataset['name']}: {len(findings)} findings\n  {listed}")


def build_dataset(config: Config, split: str, *, cache_images: bool = False) -> CocoDataset:
    """One split of the data set, `train` or `val`."""
    dataset, protocol = config["dataset"], config["protocol"]
    return CocoDataset(
        dataset["root"],
        dataset[split]["images"],
        dataset[split]["annotations"],
        classes=dataset["classes"],
        keep_empty_images=protocol["keep_empty_images"],
        drop_invalid=dataset["drop_invalid"],
        cache_images=cache_images,
        source=dataset["source"],
    )


def build_segmenter(
    config: Config, num_foreground: int, reduce_sum: Callable[[Tensor], Tensor] | None = None
) -> SegmenterModule:
    """Network, criterion and detector of a run, of the family that its model node names.

    Args:
        config: the run's settings.
        num_foreground: foreground classes of the data set; the protocol may add phantoms.
        reduce_sum: sums a tensor over ranks; None for one process.
    """
    model = config["model"]
    mask_loss = build_mask_loss(config)
    num_classes = 1 + num_foreground + config["protocol"]["phantom_classes"]
    sums = {} if reduce_sum is None else {"reduce_sum": reduce_sum}
    criterion = make(
        model["criterion"],
        mask_loss=mask_loss,
        box_loss=make(config["box_loss"]),
        class_loss=make(config["class_loss"]),
        **sums,
    )
    network = make(model["network"], num_classes=num_classes)
    return assemble(model, network, criterion, make(model["detector"]))


def assemble(model: Config, network: nn.Module, criterion: nn.Module, detector: Any) -> Any:
    """The three parts as the Segmenter that a model node names."""
    family = make({**model["segmenter"], "_partial_": True})
    return family(network, criterion, detector)


def build_mask_loss(config: Config) -> nn.Module:
    """The mask loss, a bare one made into the single term that bears its option's name."""
    loss, protocol = config["loss"], config["protocol"]
    return single(
        make(loss),
        name=loss["name"],
        crop=protocol["mask_crop"],
        min_box_area=protocol["min_box_area"],
        mse_trains_bce=protocol["mse_trains_bce"],
    )


def build_cadence(config: Config) -> Cadence:
    settings = config["schedule"]
    return Cadence(settings["checkpoint_every"], settings["validate_every"], settings["log_every"])


def build_optimizer(config: Config, model: nn.Module) -> torch.optim.Optimizer:
    """SGD over all parameters; weight decay on biases and batch norm too, as in the original.

    `runtime.fused_sgd` takes the step in one kernel; otherwise torch chooses (a GPU's default is
    one launch for many tensors).
    """
    settings = config["schedule"]
    return torch.optim.SGD(
        model.parameters(),
        lr=settings["lr"],
        momentum=settings["momentum"],
        weight_decay=settings["weight_decay"],
        fused=True if config["runtime"]["fused_sgd"] else None,
    )


def build_loader(
    config: Config, dataset: CocoDataset, iterations: int, world: World, device: torch.device
) -> Callable[[int], Iterable[Batch]]:
    """Training batches from any iteration on, this rank's share of each."""
    transform = make(config["augmentation"])
    # Runs frozen before there was a choice leave the pixels to the workers.
    on_device = config["runtime"].get("augment_on", "workers") == "device"
    # Not isinstance: one that changes the pixels would be passed over.
    if on_device and type(transform) is not TrainTransform:
        raise BadInputError(
            f"runtime.augment_on=device: {type(transform).__name__} computes its own pixels, only "
            "yolactpp.data.augment.TrainTransform leaves them to the device; choose workers"
        )

    def loader_from(start_iteration: int) -> Iterable[Batch]:
        loader = train_loader(
            dataset,
            transform,
            batch_size=config["batch_size"]["total"],
            seed=config["seed"],
            start_iteration=start_iteration,
            iterations=iterations,
            rank=world.rank,
            world_size=world.size,
            workers=choose_workers(config["runtime"]["workers"], world, device),
            shuffle=config["protocol"]["shuffle"],
            pin_memory=device.type == "cuda",
            unrendered=on_device,
        )
        return RenderedBatches(loader, device) if on_device else loader

    return loader_from


def build_evaluator(
    config: Config,
    world: World,
    device: torch.device,
    precision: Precision,
    class_names: list[str] | None = None,
) -> Evaluator:
    """Metrics on the validation split, by the first of the evaluators that the settings name.

    Args:
        config: the run's settings.
        world: the ranks that share the split.
        device: where the model is.
        precision: autocast of the forward pass.
        class_names: the model's classes by label, where they are not this data set's own.
    """
    dataset = build_dataset(config, "val")
    evaluation = config["evaluation"]
    transform = EvalTransform(config["image_size"])
    first_image = dataset.read_image(0)
    height, width = first_image.shape[:2]

    def one_image() -> tuple[Tensor, list[tuple[int, int]]]:
        return transform(first_image)[None].to(device), [(height, width)]

    truth = GroundTruth(
        dataset.annotations_file,
        categories_of_labels(dataset, class_names or dataset.class_names),
        config["protocol"],
        evaluation["evaluators"][0],
        config["dataset"]["classes"],
    )
    loader = eval_loader(
        dataset,
        transform,
        batch_size=evaluation["batch_size"],
        rank=world.rank,
        world_size=world.size,
        workers=choose_workers(config["runtime"]["workers"], world, device) // 2,
        pin_memory=device.type == "cuda",
    )
    return Evaluator(
        loader,
        truth,
        device=device,
        precision=precision,
        world=world,
        one_image=one_image,
    )


def categories_of_labels(dataset: CocoDataset, class_names: list[str]) -> list[int]:
    """The data set's category for each of a model's labels, found by name.

    Where none of the names agree but their number does, as often with one class, by order.

    Raises:
        BadInputError: the model knows a class that the data set does not hold.
    """
    by_name = dict(zip(dataset.class_names, dataset.category_ids, strict=True))
    missing = [name for name in class_names if name not in by_name]
    if len(missing) == len(class_names) == len(by_name):
        log.warning("classes %s are taken for %s, in order", class_names, dataset.class_names)
        return dataset.category_ids
    if missing:
        raise BadInputError(
            f"the model's classes {', '.join(missing)} are not in {dataset.annotations_file}, "
            f"which holds {', '.join(dataset.class_names)}: set dataset.classes or choose another"
        )
    return [by_name[name] for name in class_names]


def build_writers(config: Config, run: RunDir) -> list[MetricWriter]:
    """Places for the curves besides metrics.jsonl."""
    return [make(writer, folder=run.path) for writer in config["logger"]["writers"].values()]


def restore_run(
    run: RunDir, config: Config, device: torch.device, checkpoint: str = "last"
) -> Restored:
    """A run's model from its checkpoint.

    Args:
        run: the run's files.
        config: its frozen settings.
        device: where the model goes.
        checkpoint: `last`, `best`, or a path.

    Raises:
        CheckpointError: it cannot be read or does not fit.
    """
    places = {"last": run.last_checkpoint, "best": run.best_checkpoint}
    content = load_checkpoint(places.get(checkpoint, Path(checkpoint)), device)
    # Phantom classes are the weights' own, whatever protocol they are now read under.
    phantoms = (content.get("protocol") or config["protocol"])["phantom_classes"]
    protocol = {**config["protocol"], "phantom_classes": phantoms}
    model = without_pretrained(content["model_config"])
    config = {**config, "model": model, "protocol": protocol}
    segmenter = build_segmenter(config, len(content["class_names"]))
    weights = content["ema"]["model"] if content["ema"] else content["model"]
    _load_whole_network(segmenter, weights)
    return Restored(
        segmenter.to(device).eval(),
        content["class_names"],
        content["category_ids"],
        content["image_size"],
        content["iteration"],
        content["run_id"],
    )


def _load_whole_network(segmenter: SegmenterModule, weights: dict[str, Tensor]) -> None:
    """All of a network's tensors; those of a learned loss where they are there and wanted."""
    result = segmenter.load_state_dict(weights, strict=False)
    differing = [*result.missing_keys, *result.unexpected_keys]
    foreign = [name for name in differing if not name.startswith("criterion.")]
    if foreign:
        raise CheckpointError(
            f"the checkpoint does not fit the network it describes: {', '.join(foreign[:4])}"
        )


def without_pretrained(model: Config) -> Config:
    """A model's settings without its ImageNet weights, where a checkpoint brings all weights."""
    backbone = {**model["backbone"], "weights": None}
    return {
        **model,
        "backbone": backbone,
        "network": {**model["network"], "backbone": backbone},
    }


def choose_workers(setting: int | str, world: World, device: torch.device) -> int:
    """Data-loading processes of this rank.

    Raises:
        BadInputError: neither `auto` nor a number from 0 on.
    """
    if setting == "auto":
        cores = len(os.sched_getaffinity(0))
        on_this_node = min(world.size, max(1, torch.cuda.device_count()))
        share = cores // (2 * on_this_node)
        return max(1 if device.type == "cuda" else 0, min(share, MOST_WORKERS))
    if not isinstance(setting, int) or setting < 0:
        raise BadInputError(f"runtime.workers={setting}: auto, or a number from 0 on")
    return setting


def _without_foreign_names(node: Any) -> Any:
    """A copy of a node in which no `name` goes to a target that does not take one."""
    if isinstance(node, list):
        return [_without_foreign_names(each) for each in node]
    if not isinstance(node, dict):
        return node
    cleaned = {key: _without_foreign_names(value) for key, value in node.items()}
    if "name" in cleaned and "_target_" in cleaned and not _takes_name(cleaned["_target_"]):
        del cleaned["name"]
    return cleaned


def _takes_name(target: str) -> bool:
    try:
        return "name" in inspect.signature(get_object(target)).parameters
    except (HydraException, ImportError, AttributeError, ValueError, TypeError):
        return False
