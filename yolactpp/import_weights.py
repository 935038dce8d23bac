"""The original's checkpoints into ours: `python -m yolactpp.import_weights FILE`.

Takes the files of YOLACT, YOLACT++ and their forks with a ResNet backbone, reads the architecture
off the tensors, and writes a checkpoint that predicting, evaluating and fine-tuning take.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from torch import Tensor
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

from yolactpp.build import make
from yolactpp.engine.checkpoint import save_checkpoint
from yolactpp.engine.failures import BadInputError, CheckpointError
from yolactpp.model.architecture import Architecture, infer_architecture
from yolactpp.model.original_names import from_original
from yolactpp.protocols import NAMES, load_protocol

# What the original's own loader drops: an ImageNet file's names and pyramid levels of old versions.
_DROPPED = re.compile(r"backbone\.layer(?!s)|fpn\.downsample_layers\.([2-9]|\d\d)\.")
_COUNTER = "num_batches_tracked"
ORIGINAL_IMAGE_SIZE = 550


@dataclass
class Imported:
    """Weights under our names, and what became of the original's.

    Args:
        state: tensors by our names.
        dropped: the original's names that no network of ours has.
        missing: our names that the file lacks; batch-norm counters, which start at 0.
        architecture: read off the tensors.
    """

    state: dict[str, Tensor]
    dropped: list[str]
    missing: list[str]
    architecture: Architecture


def read_original(path: Path) -> dict[str, Tensor]:
    """The tensors of one of the original's files.

    Raises:
        BadInputError: the file is not there, or is no state dict.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadInputError(f"{path} does not exist: give the file of the weights") from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInputError(f"{path} cannot be read: {reason}") from error
    if not isinstance(state, Mapping) or not all(isinstance(t, Tensor) for t in state.values()):
        raise BadInputError(f"{path} holds no plain state dict, as the original writes it")
    return dict(state)


def import_state(original: Mapping[str, Tensor]) -> Imported:
    """The original's tensors under our names.

    Raises:
        BadInputError: a name that no ResNet YOLACT has, or tensors are missing.
    """
    dropped = [name for name in original if _DROPPED.match(name)]
    try:
        state = {
            from_original(name): tensor
            for name, tensor in original.items()
            if not _DROPPED.match(name)
        }
        architecture = infer_architecture(state)
    except KeyError as error:
        raise BadInputError(
            f"{error.args[0]}: only YOLACT and YOLACT++ with a ResNet backbone can be imported"
        ) from error
    except ValueError as error:
        raise BadInputError(str(error)) from error
    return Imported(state, dropped, [], architecture)


def model_settings(architecture: Architecture, image_size: int, protocol: str) -> dict[str, Any]:
    """The resolved `model` node that makes the architecture, without ImageNet weights."""
    with initialize_config_module("conf", version_base="1.3"):
        config = compose(
            "train",
            overrides=[
                f"model={architecture.model}",
                f"protocol={protocol}",
                f"image_size={image_size}",
                "model.backbone.weights=null",
                *architecture.overrides(),
            ],
        )
    model = OmegaConf.to_container(config.model, resolve=True)
    return {str(key): value for key, value in dict(model).items()}  # type: ignore[arg-type]


def fill_network(imported: Imported, model: dict[str, Any]) -> dict[str, Tensor]:
    """The complete state of a network of these settings with the imported weights in it.

    Raises:
        BadInputError: anything but batch-norm counters is missing or of another shape.
    """
    network = make(model["network"], num_classes=imported.architecture.num_classes)
    own = network.state_dict()
    imported.missing = [name for name in own if name not in imported.state]
    lacking = [name for name in imported.missing if not name.endswith(_COUNTER)]
    foreign = [
        name
        for name, tensor in imported.state.items()
        if name not in own or own[name].shape != tensor.shape
    ]
    if lacking or foreign:
        raise BadInputError(
            f"the file does not hold a whole {model['name']}: {len(lacking)} tensors missing "
            f"({', '.join(lacking[:3])}), {len(foreign)} foreign ({', '.join(foreign[:3])})"
        )
    network.load_state_dict(imported.state, strict=False)
    return network.state_dict()


def categories(
    foreground: int, annotations: Path | None, class_names: list[str] | None
) -> tuple[list[str], list[int]]:
    """Names and category ids by label: of an annotation file, as given, or COCO's for 80 classes.

    Fewer names than outputs are legal: the outputs beyond are phantoms, as in the survey's fork.

    Raises:
        BadInputError: more names than the network has outputs, or an unreadable annotation file.
    """
    if annotations is not None:
        names, ids = _categories_of(annotations)
    elif class_names is not None:
        names, ids = class_names, list(range(1, len(class_names) + 1))
    else:
        names, ids = _coco_categories()
        if len(names) != foreground:
            names = [f"class_{label + 1}" for label in range(foreground)]
            ids = list(range(1, foreground + 1))
    if not 1 <= len(names) <= foreground:
        raise BadInputError(
            f"{len(names)} classes are named, but the weights have {foreground} foreground outputs"
        )
    return names, ids


def _categories_of(annotations: Path) -> tuple[list[str], list[int]]:
    try:
        entries = json.loads(annotations.read_text(encoding="utf-8"))["categories"]
        by_id = sorted((int(entry["id"]), str(entry["name"])) for entry in entries)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{annotations} is no COCO annotation file: {error!r}") from error
    return [name for _, name in by_id], [number for number, _ in by_id]


def _coco_categories() -> tuple[list[str], list[int]]:
    listed = MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    known = [(n, name) for n, name in enumerate(listed) if name not in ("__background__", "N/A")]
    return [name for _, name in known], [number for number, _ in known]


def import_file(
    path: Path,
    output: Path,
    *,
    image_size: int = ORIGINAL_IMAGE_SIZE,
    annotations: Path | None = None,
    class_names: list[str] | None = None,
    protocol: str = "yolact",
) -> str:
    """Import one file; returns the report.

    Args:
        path: the original's file.
        output: the checkpoint to write.
        image_size: side in pixels the weights were trained at; the file does not tell.
        annotations: COCO file whose categories the classes are.
        class_names: the classes' names instead.
        protocol: option of conf/protocol that the checkpoint carries.

    Raises:
        BadInputError: see `read_original`, `import_state`, `fill_network`, `categories`.
        CheckpointError: the checkpoint cannot be written.
    """
    original = read_original(path)
    imported = import_state(original)
    architecture = imported.architecture
    names, ids = categories(architecture.num_classes - 1, annotations, class_names)
    phantoms = architecture.num_classes - 1 - len(names)
    try:
        model = model_settings(architecture, image_size, protocol)
    except ValueError as error:
        raise BadInputError(str(error)) from error
    state = fill_network(imported, model)
    content = {
        "model": {f"network.{name}": tensor for name, tensor in state.items()},
        "ema": None,
        "iteration": 0,
        "run_id": f"imported from {path.name}",
        "model_config": model,
        "class_names": names,
        "category_ids": ids,
        "image_size": image_size,
        "protocol": {**load_protocol(protocol), "phantom_classes": phantoms},
    }
    save_checkpoint(output, content, keep_previous=False)
    return _report(path, output, original, imported, names, phantoms, image_size)


def _report(
    path: Path,
    output: Path,
    original: Mapping[str, Tensor],
    imported: Imported,
    names: list[str],
    phantoms: int,
    image_size: int,
) -> str:
    found = imported.architecture
    deformable = sum(".conv_offset_mask.weight" in name for name in imported.state)
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    lines = [
        f"{path}: {len(original)} tensors",
        f"architecture: {found.model}, {deformable} deformable layers, {found.scales} anchor "
        f"scales a level, {'no ' if found.mask_iou_channels is None else ''}mask-IoU net",
        f"classes: {len(names)} ({shown})" + (f" and {phantoms} phantom" if phantoms else ""),
        f"image size: {image_size} px, which the file does not tell; --image-size sets it",
        f"mapped: {len(original) - len(imported.dropped)}",
        f"dropped: {len(imported.dropped)} {' '.join(imported.dropped)}".rstrip(),
        f"missing: {len(imported.missing)} {' '.join(imported.missing)}".rstrip(),
        f"written: {output}",
    ]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m yolactpp.import_weights",
        description="Turn weights of the original YOLACT or YOLACT++ into a checkpoint.",
    )
    parser.add_argument("file", type=Path, help="e.g. yolact_plus_base_54_800000.pth")
    parser.add_argument("--output", type=Path, help="default: the file's name with .pt, beside it")
    parser.add_argument(
        "--image-size",
        type=int,
        default=ORIGINAL_IMAGE_SIZE,
        help="side in pixels of the images it was trained on (default: %(default)s)",
    )
    classes = parser.add_mutually_exclusive_group()
    classes.add_argument("--annotations", type=Path, help="COCO file that names the classes")
    classes.add_argument("--class-names", help="the classes' names, separated by commas")
    parser.add_argument("--protocol", choices=NAMES, default="yolact")
    return parser


def main(arguments: list[str]) -> int:
    """Import; exit status 0, or 2 with a message."""
    chosen = _parser().parse_args(arguments)
    try:
        report = import_file(
            chosen.file,
            chosen.output or chosen.file.with_suffix(".pt"),
            image_size=chosen.image_size,
            annotations=chosen.annotations,
            class_names=chosen.class_names.split(",") if chosen.class_names else None,
            protocol=chosen.protocol,
        )
    except (BadInputError, CheckpointError) as error:
        print(error, file=sys.stderr)
        return 2
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
