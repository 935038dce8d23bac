"""ImageNet weights for the backbone: torchvision's, or a file such as resnet101_reducedfc.pth."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

WAY_OUT = "set model.backbone.weights=null to train from random weights"

_ARCHITECTURES: dict[tuple[str, tuple[int, ...]], str] = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
}
_IGNORED = re.compile(r"fc\.")
_STAGE = re.compile(r"layer(\d+)\.")


class WeightsUnavailableError(ValueError):
    """ImageNet weights could not be had; the message says why and what to set instead."""


def backbone_key(imagenet_key: str) -> str | None:
    """Our backbone's key of a torchvision ResNet's one; None for the classifier's.

    `layer<k>.` becomes `layers.<k-1>.`, all else stays; keys of the form `layers.<k>.` pass.
    """
    if _IGNORED.match(imagenet_key):
        return None
    return _STAGE.sub(lambda match: f"layers.{int(match[1]) - 1}.", imagenet_key, count=1)


def load_imagenet_weights(
    backbone: nn.Module, weights: str, *, block: str, blocks: list[int], width: int
) -> None:
    """Fill `backbone` from ImageNet weights; DCN biases and offset layers keep their values.

    Args:
        backbone: the ResNet.
        weights: torchvision's name of an entry (DEFAULT, IMAGENET1K_V1, ...) or a file's path.
        block: kind of block, `basic` or `bottleneck`, with which torchvision's model is found.
        blocks: number of blocks of the four stages.
        width: channels of the stem; torchvision has weights for 64 only.

    Raises:
        WeightsUnavailableError: no such entry, no network, or no such or a foreign file.
    """
    path = Path(weights).expanduser()
    if path.suffix or "/" in weights:
        state = _read(path)
    else:
        state = _download(weights, _ARCHITECTURES.get((block, tuple(blocks))), width)
    _fill(backbone, state, weights)


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsUnavailableError(
            f"model.backbone.weights={path} cannot be read ({error}): name a state dict of a "
            f"torchvision-like ResNet, or {WAY_OUT}"
        ) from error
    return state


def _download(name: str, architecture: str | None, width: int) -> Mapping[str, Tensor]:
    if architecture is None or width != 64:
        raise WeightsUnavailableError(
            f"model.backbone.weights={name}, but torchvision has no ImageNet weights for this "
            f"backbone: {WAY_OUT}"
        )
    entries = get_model_weights(architecture)
    if name not in entries.__members__:
        good = ", ".join(entries.__members__)
        raise WeightsUnavailableError(
            f"model.backbone.weights={name} is neither a path nor one of {architecture}'s entries "
            f"({good}); or {WAY_OUT}"
        )
    try:
        return entries[name].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise WeightsUnavailableError(
            f"the ImageNet weights {architecture}/{name} cannot be downloaded ({error}): fetch "
            f"{entries[name].url} elsewhere and give its path as model.backbone.weights, "
            f"or {WAY_OUT}"
        ) from error


def _fill(backbone: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    own = backbone.state_dict()
    mapped = {}
    for key, value in state.items():
        name = backbone_key(key)
        if name is not None:
            mapped[name] = value
    foreign = [
        key for key, value in mapped.items() if key not in own or own[key].shape != value.shape
    ]
    lacking = [
        key
        for key in own
        if key not in mapped and not _is_dcn_only(key, own) and "num_batches" not in key
    ]
    if foreign or lacking:
        raise WeightsUnavailableError(
            f"model.backbone.weights={source} does not fit the backbone "
            f"({len(foreign)} tensors foreign or of another shape, e.g. {foreign[:2]}; "
            f"{len(lacking)} missing, e.g. {lacking[:2]}): name the right file, or {WAY_OUT}"
        )
    backbone.load_state_dict(mapped, strict=False)


def _is_dcn_only(key: str, own: Mapping[str, Tensor]) -> bool:
    layer = key.removesuffix(".bias")
    return ".conv_offset_mask." in key or f"{layer}.conv_offset_mask.weight" in own
