"""A batch moved to a device and split for gradient accumulation.

Shape letters as in yolactpp.structures.
"""

from __future__ import annotations

import torch
from torch import Tensor

from yolactpp.structures import Targets

Batch = tuple[Tensor, Targets]


def to_device(batch: Batch, device: torch.device, *, channels_last: bool = False) -> Batch:
    images_B3HW, targets = batch
    layout = torch.channels_last if channels_last else torch.contiguous_format
    images_B3HW = images_B3HW.to(device, non_blocking=True, memory_format=layout)
    return images_B3HW, targets.to(device, non_blocking=True)


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """Equal consecutive parts of a batch, each with its images' boxes and masks.

    Raises:
        ValueError: the batch has no `parts` equal parts.
    """
    count = len(batch[0])
    if parts == 1:
        return [batch]
    if count % parts:
        raise ValueError(f"batch_size.accumulate={parts} does not divide {count} images")
    size = count // parts
    return [_images_between(batch, start, start + size) for start in range(0, count, size)]


def _images_between(batch: Batch, start: int, end: int) -> Batch:
    images_B3HW, targets = batch
    offsets = [*targets.mask_offsets_B.tolist(), len(targets.masks_GHW)]
    part = Targets(
        targets.boxes_BM4[start:end],
        targets.labels_BM[start:end],
        targets.masks_GHW[offsets[start] : offsets[end]],
        targets.mask_offsets_B[start:end] - offsets[start],
    )
    return images_B3HW[start:end], part
