"""A tiny Mask R-CNN and a batch of images with discs for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.test_conf import settings
from yolactpp import build
from yolactpp.structures import CROWD, Targets

SIZE = 64
CLASSES = 2


def make_segmenter(*overrides: str, seed: int = 0) -> Any:
    """`model=maskrcnn_tiny`, narrower still, for images of 64 px and two classes."""
    config = settings(
        "model=maskrcnn_tiny",
        f"image_size={SIZE}",
        "model.backbone.width=8",
        "model.network.channels=16",
        "model.network.box_features=32",
        *overrides,
    )
    torch.manual_seed(seed)
    return build.build_segmenter(config, CLASSES)


def disc(x: float, y: float, radius: float, size: int = SIZE) -> Tensor:
    """A disc's mask, uint8 [size, size]; centre and radius in pixels."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    inside = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2
    return inside.to(torch.uint8)


def make_batch(*, crowd: bool = False) -> tuple[Tensor, Targets]:
    """Three images: two discs of both classes, none, one disc; perhaps a crowd in the first."""
    generator = torch.Generator().manual_seed(1)
    images_B3HW = torch.randn(3, 3, SIZE, SIZE, generator=generator)
    discs = [[(20.0, 24.0, 12.0), (44.0, 40.0, 9.0)], [], [(30.0, 30.0, 16.0)]]
    labels = [torch.tensor([0, 1]), torch.zeros(0, dtype=torch.int64), torch.tensor([1])]
    boxes = [
        torch.tensor([[x - r, y - r, x + r, y + r] for x, y, r in each]).reshape(-1, 4) / SIZE
        for each in discs
    ]
    masks = [
        torch.stack([disc(*one) for one in each])
        if each
        else torch.zeros(0, SIZE, SIZE, dtype=torch.uint8)
        for each in discs
    ]
    if crowd:
        labels[0] = torch.cat([labels[0], torch.tensor([CROWD])])
        boxes[0] = torch.cat([boxes[0], torch.tensor([[0.0, 0.0, 0.5, 0.5]])])
        masks[0] = torch.cat([masks[0], torch.ones(1, SIZE, SIZE, dtype=torch.uint8)])
    return images_B3HW, Targets.from_images(boxes, labels, masks)
