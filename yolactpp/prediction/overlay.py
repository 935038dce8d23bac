"""Detections drawn over their image."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from yolactpp.ops.mask_crops import CroppedDetections
from yolactpp.prediction.images import Pixels
from yolactpp.prediction.named_detections import NamedDetections

# Kelly's colours of maximal contrast without the greys and the browns.
COLOURS = (
    (255, 179, 0),
    (0, 125, 52),
    (193, 0, 32),
    (0, 83, 138),
    (255, 104, 0),
    (128, 62, 117),
    (244, 200, 0),
    (83, 55, 122),
    (246, 118, 142),
    (147, 170, 0),
    (0, 189, 205),
    (213, 0, 167),
)
OPACITY = 0.5
MIDDLE_LUMA = 110
# Lines and letters relative to the image's mean side.
LINE = 1 / 320
LETTER = 1 / 45


def draw_overlay(image_bgr: Pixels, detections: NamedDetections) -> Pixels:
    """Masks, boxes, names and scores over an image: BGR uint8 [H, W, 3].

    Where masks overlap the better detection is on top. Colours tell instances apart.
    """
    height, width = image_bgr.shape[:2]
    image_3HW = torch.from_numpy(np.ascontiguousarray(image_bgr[:, :, ::-1])).permute(2, 0, 1)
    if len(detections):
        image_3HW = _draw_masks(image_3HW, owners(detections, (height, width)))
        image_3HW = _draw_boxes(image_3HW, detections)
    return np.ascontiguousarray(image_3HW.permute(1, 2, 0).numpy()[:, :, ::-1])


def owners(detections: NamedDetections, size: tuple[int, int]) -> NDArray[np.int32]:
    """Which detection each pixel shows, -1 for none: [H, W]."""
    owner_HW = np.full(size, -1, np.int32)
    inner = detections.detections
    for index in reversed(range(len(detections))):
        if isinstance(inner, CroppedDetections):
            top, left, pixels_HW = inner.mask_crops.windows[index]
            rows, columns = pixels_HW.shape
            owner_HW[top : top + rows, left : left + columns][pixels_HW] = index
        else:
            owner_HW[inner.masks_NHW[index].cpu().numpy()] = index
    return owner_HW


def _draw_masks(image_3HW: Tensor, owner_HW: NDArray[np.int32]) -> Tensor:
    """One mask a colour: no more memory than a dozen masks need, however many objects there are."""
    colour_HW = torch.from_numpy(np.where(owner_HW < 0, -1, owner_HW % len(COLOURS)))
    used = [colour for colour in colour_HW.unique().tolist() if colour >= 0]
    if not used:
        return image_3HW
    masks_NHW = torch.stack([colour_HW == colour for colour in used])
    return draw_segmentation_masks(
        image_3HW, masks_NHW, alpha=OPACITY, colors=[COLOURS[colour] for colour in used]
    )


def _draw_boxes(image_3HW: Tensor, detections: NamedDetections) -> Tensor:
    mean_side = (image_3HW.shape[1] + image_3HW.shape[2]) / 2
    scores = detections.scores_N.tolist()
    labels = [f"{name} {score:.2f}" for name, score in zip(detections.names, scores, strict=True)]
    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    order = list(reversed(range(len(labels))))
    colours = [COLOURS[index % len(COLOURS)] for index in order]
    return draw_bounding_boxes(
        image_3HW,
        detections.boxes_N4.cpu()[order],
        labels=[labels[index] for index in order],
        colors=colours,
        label_colors=["black" if _luma(colour) > MIDDLE_LUMA else "white" for colour in colours],
        width=max(1, round(mean_side * LINE)),
        font=str(font),
        font_size=max(9, round(mean_side * LETTER)),
        fill_labels=True,
    )


def _luma(colour: tuple[int, int, int]) -> float:
    """Brightness from 0 to 255 by ITU-R BT.601."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue
