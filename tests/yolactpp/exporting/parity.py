"""How well the exported script's detections agree with PyTorch's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolactpp.prediction.named_detections import NamedDetections


def load_script(path: Path) -> ModuleType:
    """The script as a module of its own, as it lies beside the ONNX files."""
    spec = importlib.util.spec_from_file_location(f"exported_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def best_ious(ours: NamedDetections, theirs: list[Any]) -> NDArray[np.float64]:
    """For each of our detections the mask IoU of the nearest of theirs that is like it.

    Alike: of the same class, box corners within a pixel (both truncate) and score within 0.02.
    """
    size = ours.masks_NHW.shape[1:]
    masks = [each.mask(*size) for each in theirs]
    ious = []
    for index in range(len(ours)):
        mask_HW = ours.masks_NHW[index].numpy()
        alike = [
            _iou(mask_HW, mask)
            for each, mask in zip(theirs, masks, strict=True)
            if each.label == int(ours.labels_N[index])
            and np.abs(np.array(each.box_xyxy) - ours.boxes_N4[index].numpy()).max() <= 1
            and abs(each.score - float(ours.scores_N[index])) < 0.02
            and abs(each.mask_score - float(ours.mask_scores_N[index])) < 0.02
        ]
        ious.append(max(alike, default=0.0))
    return np.array(ious)


def _iou(a_HW: NDArray[np.bool_], b_HW: NDArray[np.bool_]) -> float:
    union = (a_HW | b_HW).sum()
    return float((a_HW & b_HW).sum() / union) if union else 1.0
