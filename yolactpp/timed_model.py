"""The model that is timed: a trained one, or random weights made to work as hard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from yolactpp.build import make, without_pretrained
from yolactpp.engine.compilation import compile_network
from yolactpp.engine.distributed import choose_device
from yolactpp.engine.failures import BadInputError
from yolactpp.loading import load
from yolactpp.model.fuse import fused
from yolactpp.model.network import YolactppNetwork
from yolactpp.model.winograd import use_winograd
from yolactpp.model.yolactpp import YolactPP

Config = dict[str, Any]


def timed_model(settings: Config) -> tuple[YolactPP, int, torch.device]:
    """Model in evaluation mode, side of its input in pixels, its device.

    Args:
        settings: conf/benchmark.yaml, resolved.

    Raises:
        BadInputError: settings out of range, or no such run or device.
        CheckpointError: the run's weights cannot be read.
    """
    runtime = settings["runtime"]
    try:
        device = choose_device(runtime["device"])
    except ValueError as error:
        raise BadInputError(str(error)) from error
    if settings["run"] is None:
        image_size = settings["image_size"]
        segmenter = _with_random_weights(settings, device)
    else:
        predictor = load(
            Path(settings["run"]),
            str(device),
            checkpoint=settings["checkpoint"],
            score_threshold=0,
            fast=False,
        )
        image_size = predictor.image_size
        if not isinstance(predictor.segmenter, YolactPP):
            raise BadInputError(
                f"run={settings['run']} is a {type(predictor.segmenter).__name__}: only YOLACT++ "
                "is timed here; eval.json holds the speed of every family"
            )
        segmenter = predictor.segmenter
    if settings["fuse"]:
        segmenter.network = fused(segmenter.network)
    if settings["winograd"] and device.type == "cpu":
        use_winograd(segmenter.network)
    if runtime["channels_last"]:
        segmenter.to(memory_format=torch.channels_last)
    try:
        compile_network(segmenter.network, runtime["compile"])
    except ValueError as error:
        raise BadInputError(str(error)) from error
    return segmenter, image_size, device


@torch.no_grad()
def calm_head(network: YolactppNetwork, images_B3HW: Tensor) -> None:
    """Scale the head's last weights so that random logits spread by 1.

    Of a deep network with random weights they are in the thousands, all probabilities 0 or 1 and
    boxes beyond every number.
    """
    spread = network(images_B3HW).class_logits_BPC.std()
    for output in (network.head.box, network.head.classes, network.head.coefficients):
        output.weight /= spread


@torch.no_grad()
def confidence_of_rank(network: YolactppNetwork, images_B3HW: Tensor, rank: int) -> float:
    """The best foreground probability that `rank` priors of the first image exceed."""
    logits_BPC = network(images_B3HW).class_logits_BPC.float()
    best_P = logits_BPC[0].softmax(dim=-1)[:, 1:].amax(dim=-1)
    return float(best_P.sort(descending=True).values[min(rank, len(best_P) - 1)])


def _with_random_weights(settings: Config, device: torch.device) -> YolactPP:
    for key, low in (("image_size", 32), ("classes", 1), ("candidates", 1)):
        value = settings[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise BadInputError(f"{key}={value}: give a whole number from {low} on")
    torch.manual_seed(0)
    model, size = without_pretrained(settings["model"]), settings["image_size"]
    network = make(model["network"], num_classes=1 + settings["classes"]).to(device).eval()
    images_B3HW = torch.randn(1, 3, size, size).to(device)
    calm_head(network, images_B3HW)
    detector = make(model["detector"])
    detector.confidence_threshold = confidence_of_rank(network, images_B3HW, settings["candidates"])
    return YolactPP(network, nn.Identity(), detector).eval()
