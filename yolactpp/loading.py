"""`yolactpp.load`: a trained model from a run's folder or a checkpoint's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from yolactpp.build import SegmenterModule, assemble, make
from yolactpp.engine.checkpoint import load_checkpoint
from yolactpp.engine.distributed import choose_device
from yolactpp.engine.failures import BadInputError, CheckpointError
from yolactpp.model.fuse import fused
from yolactpp.model.winograd import use_winograd
from yolactpp.model.yolactpp import YolactPP
from yolactpp.prediction.predictor import Predictor
from yolactpp.run_dir import RunDir

SCORE_THRESHOLD = 0.15
# Weights of loss terms that were learned; detecting needs none of them.
_CRITERION = "criterion."


def load(
    run_or_checkpoint: str | Path,
    device: str = "auto",
    *,
    checkpoint: str = "last",
    score_threshold: float = SCORE_THRESHOLD,
    max_detections: int | None = None,
    fast: bool = True,
) -> Predictor:
    """A trained model, ready to be called with images.

    >>> predict = yolactpp.load("outputs/runs/bce-b8-s0-1a2b3c4d")  # doctest: +SKIP
    >>> predict(["a.jpg", "b.jpg"])[0].to_supervision()  # doctest: +SKIP

    Args:
        run_or_checkpoint: a run's folder, or a file that training or `import_weights` wrote.
        device: auto, cpu, cuda or cuda:N.
        checkpoint: `last` or `best` of a run's folder.
        score_threshold: least class score, 0 to 1. Evaluation counts everything above 0.05.
        max_detections: best detections of an image to keep; None keeps all, at most 100 by default.
        fast: fold batch norm into the convolutions, lay maps out with channels innermost, and on a
            CPU multiply less (`yolactpp.ops.winograd`): the same detections up to rounding, sooner.
            False leaves the network as it was trained.

    Raises:
        BadInputError: no such run, checkpoint or device, or a threshold out of range.
        CheckpointError: the file cannot be read or holds other weights than it says.
    """
    if max_detections is not None and max_detections < 1:
        raise BadInputError(f"max_detections={max_detections}: give at least 1, or leave it out")
    try:
        chosen = choose_device(device)
    except ValueError as error:
        raise BadInputError(str(error)) from error
    path = find_checkpoint(Path(run_or_checkpoint), checkpoint)
    content = load_checkpoint(path)
    segmenter = _restore(path, content, score_threshold).to(chosen).eval()
    if fast and isinstance(segmenter, YolactPP):
        network = fused(segmenter.network)
        if chosen.type == "cpu":
            use_winograd(network)
        segmenter.network = network.to(memory_format=torch.channels_last)
    return Predictor(
        segmenter,
        class_names=content["class_names"],
        category_ids=content["category_ids"],
        image_size=content["image_size"],
        device=chosen,
        max_detections=max_detections,
        run_id=content["run_id"],
    )


def find_checkpoint(place: Path, checkpoint: str = "last") -> Path:
    """The checkpoint's file of a run's folder; a file is taken as it stands.

    Raises:
        BadInputError: there is none.
    """
    if place.is_file():
        return place
    if not place.exists():
        raise BadInputError(f"run={place}: there is no such folder or file")
    run = RunDir(place)
    files = {"last": run.last_checkpoint, "best": run.best_checkpoint}
    if checkpoint not in files:
        raise BadInputError(f"checkpoint={checkpoint}: choose last or best, or give run= a file")
    if not run.config.exists():
        raise BadInputError(f"run={place} is no run: it holds no config.yaml")
    if not files[checkpoint].exists():
        held = [name for name, path in files.items() if path.exists()]
        there = f"it has {held[0]}" if held else "train it first: python -m yolactpp.train"
        raise BadInputError(f"run={place} has no checkpoint {checkpoint}: {there}")
    return files[checkpoint]


def _restore(path: Path, content: dict[str, Any], score_threshold: float) -> SegmenterModule:
    """Network and detector as the checkpoint describes them; no loss is built."""
    missing = [
        key for key in ("model_config", "class_names", "protocol", "run_id") if key not in content
    ]
    if missing:
        raise CheckpointError(
            f"{path} holds no {', '.join(missing)}: it is no checkpoint of this project; weights "
            "of the original are turned into one by python -m yolactpp.import_weights"
        )
    model = content["model_config"]
    backbone = {**model["backbone"], "weights": None}
    network = make(
        {**model["network"], "backbone": backbone},
        num_classes=1 + len(content["class_names"]) + content["protocol"]["phantom_classes"],
    )
    detector = make({**model["detector"], "score_threshold": score_threshold})
    segmenter = assemble(model, network, nn.Identity(), detector)
    weights = content["ema"]["model"] if content["ema"] else content["model"]
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(_CRITERION)}
    try:
        segmenter.load_state_dict(kept)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the network it describes: {error}") from error
    return segmenter
