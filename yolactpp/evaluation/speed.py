"""Inference speed from images, decoded or not, to masks, with warm-up and stages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from yolactpp.stopwatch import StageTimer
from yolactpp.structures import Segmenter

Preprocess = Callable[[], tuple[Tensor, list[tuple[int, int]]]]


def measure_speed(
    segmenter: Segmenter,
    preprocess: Preprocess,
    *,
    decode: Callable[[], None] | None = None,
    device: torch.device | str,
    dtype: str = "fp32",
    warm_up: int = 5,
    repeats: int = 30,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> dict[str, Any]:
    """Time batches one after another; the result is `speed` of eval.json.

    Args:
        segmenter: in evaluation mode, on the device.
        preprocess: makes a batch from decoded images, on the device: images [B, 3, S, S] and the
            original heights and widths. It is the stage `preprocess`.
        decode: reads the images that `preprocess` then takes: the stage `decode`, counted with the
            others; None leaves it out.
        device: where the segmenter is; named in the result.
        dtype: how the precision is called in the result.
        warm_up: batches that are not counted.
        repeats: batches that are.
        autocast: gives the context of the forward pass.

    Returns:
        `fps`: images a second by the median batch, all stages; `fps_without_masks`: without the
        stage `masks`; `batch_size`, `device`, `dtype`, `repeats`, `p50_ms` and `p95_ms` of a
        batch, and `stages_ms`, the median of each of decode, preprocess, forward, detection, masks.

    Raises:
        ValueError: fewer than one repeat.
    """
    if repeats < 1:
        raise ValueError(f"repeats={repeats}: at least one batch must be timed")
    device = torch.device(device)
    timer, batch_size = StageTimer(device), 0
    for turn in range(warm_up + repeats):
        if turn == warm_up:
            timer = StageTimer(device)
        with torch.inference_mode(), autocast(), timer("batch"):
            if decode is not None:
                with timer("decode"):
                    decode()
            with timer("preprocess"):
                images_B3HW, sizes_hw = preprocess()
            segmenter.detect(images_B3HW, sizes_hw, timer)
        batch_size = len(sizes_hw)
    return _summary(timer, batch_size) | {"device": device_name(device), "dtype": dtype}


def device_name(device: torch.device) -> str:
    """`cpu` or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _summary(timer: StageTimer, batch_size: int) -> dict[str, Any]:
    whole_ms = np.array(timer.times_ms["batch"])
    masks_ms = np.array(timer.times_ms.get("masks", [0.0]))
    return {
        "fps": batch_size / float(np.median(whole_ms)) * 1e3,
        "fps_without_masks": batch_size / float(np.median(whole_ms - masks_ms)) * 1e3,
        "batch_size": batch_size,
        "repeats": len(whole_ms),
        "p50_ms": float(np.median(whole_ms)),
        "p95_ms": float(np.percentile(whole_ms, 95)),
        "stages_ms": {
            stage: float(np.median(times))
            for stage, times in timer.times_ms.items()
            if stage != "batch"
        },
    }
