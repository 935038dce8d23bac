"""Small random batches: outputs of a network and ground truth, made on the spot."""

from __future__ import annotations

import torch
from torch import Tensor

import losses
from yolactpp.criterion.criterion import Criterion
from yolactpp.model.mask_iou import MaskIouNet
from yolactpp.structures import CROWD, HeadOutputs, Targets

SIZE = 64
PROTOTYPES_SIZE = 32
CLASSES = 4
MASK_IOU_CHANNELS = (4, 8)


def ellipses(boxes_N4: Tensor) -> Tensor:
    """Ellipses inscribed in boxes, uint8 [N, SIZE, SIZE]."""
    at = (torch.arange(SIZE) + 0.5) / SIZE
    low, high = boxes_N4[:, :2, None], boxes_N4[:, 2:, None]
    x, y = (((at - (low + high) / 2) / ((high - low) / 2)) ** 2).unbind(1)
    return (y[:, :, None] + x[:, None, :] < 1).to(torch.uint8)


def image(generator: torch.Generator, objects: int, crowds: int = 0) -> tuple[Tensor, ...]:
    """Boxes, labels and masks of one image, crowds last."""
    count = objects + crowds
    sides = 0.2 + 0.4 * torch.rand(count, 2, generator=generator)
    low = torch.rand(count, 2, generator=generator) * (1 - sides)
    boxes = torch.cat([low, low + sides], 1)
    labels = torch.randint(0, CLASSES - 1, (count,), generator=generator)
    labels[objects:] = CROWD
    return boxes, labels, ellipses(boxes)


def targets_of(images: list[tuple[Tensor, ...]]) -> Targets:
    boxes, labels, masks = (list(each) for each in zip(*images, strict=True))
    return Targets.from_images(boxes, labels, masks)


def outputs(generator: torch.Generator, batch: int) -> HeadOutputs:
    """Random outputs with gradients; priors on an 8 x 8 grid, three sizes a cell."""
    at = (torch.arange(8) + 0.5) / 8
    y, x, side = torch.meshgrid(at, at, torch.tensor([0.25, 0.4, 0.55]), indexing="ij")
    priors = torch.stack([x, y, side, side], -1).reshape(-1, 4)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).requires_grad_()

    side = PROTOTYPES_SIZE
    return HeadOutputs(
        normal(batch, len(priors), 4),
        normal(batch, len(priors), CLASSES),
        normal(batch, len(priors), 5),
        normal(batch, side, side, 5),
        priors,
        normal(batch, CLASSES - 1, 16, 16),
    )


def part(whole: HeadOutputs, images: slice) -> HeadOutputs:
    """The outputs of some images, sharing the whole's leaves."""
    values = {key: value[images] for key, value in vars(whole).items() if key != "priors_P4"}
    return HeadOutputs(priors_P4=whole.priors_P4, **values)


def net(generator: torch.Generator) -> MaskIouNet:
    made = MaskIouNet(MASK_IOU_CHANNELS, CLASSES - 1)
    with torch.no_grad():
        for value in made.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) * 0.2)
    return made


def criterion(
    crop: str = "weight", min_box_area: float = 1.0, **pieces: float | bool | object
) -> Criterion:
    """BCE, smooth L1 and OHEM under the sound protocol but for the given pieces."""
    mask_loss = losses.single(losses.Bce(), crop=crop, min_box_area=min_box_area)
    return Criterion(
        mask_loss=mask_loss, box_loss=losses.SmoothL1(), class_loss=losses.Ohem(), **pieces
    )


def gradients(values: dict[str, Tensor], leaves: list[Tensor]) -> list[Tensor | None]:
    """Of the sum of what is trained."""
    summed = torch.stack([value for key, value in values.items() if "/" not in key]).sum()
    return list(torch.autograd.grad(summed, leaves, allow_unused=True))


def leaves_of(made: HeadOutputs) -> list[Tensor]:
    return [value for value in vars(made).values() if value is not None and value.requires_grad]
