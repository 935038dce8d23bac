"""What crosses a module's edge: ground truth, head outputs, detections.

Shape letters: B images, M ground-truth boxes (padded), G ground-truth masks (packed over the
batch), P priors, C classes with background, K prototypes, N instances, H and W pixels.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Protocol, Self

import torch
from torch import Tensor

CROWD = -1
PADDING = -2


@dataclass
class Targets:
    """Ground truth of a batch: boxes padded to the longest image, masks packed without padding.

    Within an image the crowd regions come last. Box m of image b owns mask `mask_offsets_B[b] + m`.

    Args:
        boxes_BM4: x1, y1, x2, y2 relative to the image, float32; rows of padding are 0.
        labels_BM: int64, 0-based foreground class; CROWD for a crowd region, PADDING past the end.
        masks_GHW: uint8 0/1 at the network's input size, crowds included.
        mask_offsets_B: int64, index of each image's first mask.
    """

    boxes_BM4: Tensor
    labels_BM: Tensor
    masks_GHW: Tensor
    mask_offsets_B: Tensor

    @property
    def is_object_BM(self) -> Tensor:
        """True where a row is a real object, neither crowd nor padding."""
        return self.labels_BM >= 0

    @property
    def is_crowd_BM(self) -> Tensor:
        return self.labels_BM == CROWD

    @classmethod
    def from_images(cls, boxes: list[Tensor], labels: list[Tensor], masks: list[Tensor]) -> Self:
        """Collate per-image boxes [n, 4], labels [n] and masks [n, H, W]; crowds already last."""
        counts = torch.tensor([len(each) for each in labels])
        longest = max(1, int(counts.max()))
        boxes_BM4 = torch.zeros(len(boxes), longest, 4)
        labels_BM = torch.full((len(boxes), longest), PADDING)
        for image, (image_boxes, image_labels) in enumerate(zip(boxes, labels, strict=True)):
            boxes_BM4[image, : len(image_boxes)] = image_boxes
            labels_BM[image, : len(image_labels)] = image_labels
        return cls(boxes_BM4, labels_BM, torch.cat(masks), counts.cumsum(0) - counts)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        return type(self)(
            *(getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self))
        )

    def pin_memory(self) -> Self:
        return type(self)(*(getattr(self, f.name).pin_memory() for f in fields(self)))


@dataclass
class HeadOutputs:
    """Raw outputs of the network for a batch.

    Args:
        loc_BP4: box offsets, SSD coding with variances 0.1 and 0.2.
        class_logits_BPC: class 0 is background.
        coefficients_BPK: after tanh.
        prototypes_BHWK: after ReLU, channels last.
        priors_P4: cx, cy, w, h relative to the image.
        semantic_logits_BCHW: C - 1 foreground channels at P3's size; None outside training.
    """

    loc_BP4: Tensor
    class_logits_BPC: Tensor
    coefficients_BPK: Tensor
    prototypes_BHWK: Tensor
    priors_P4: Tensor
    semantic_logits_BCHW: Tensor | None = None


@dataclass
class Detections:
    """What was found in one image, by descending box score.

    Args:
        boxes_N4: x1, y1, x2, y2 in pixels of the original image.
        scores_N: class probability, ranks boxes.
        mask_scores_N: class probability times predicted mask IoU, ranks masks; equal to scores_N
            where the model does not re-score.
        labels_N: int64, 0-based foreground class.
        masks_NHW: bool at the original image's size.
    """

    boxes_N4: Tensor
    scores_N: Tensor
    mask_scores_N: Tensor
    labels_N: Tensor
    masks_NHW: Tensor

    def __len__(self) -> int:
        return len(self.scores_N)

    def to(self, device: torch.device | str) -> Self:
        return type(self)(*(getattr(self, f.name).to(device) for f in fields(self)))


class Stopwatch(Protocol):
    """Times named stages: `with stopwatch("forward"): ...`."""

    def __call__(self, stage: str) -> AbstractContextManager[None]: ...


class Segmenter(Protocol):
    """A model family as engine, evaluation and sweeps see it (also a torch.nn.Module).

    `training_losses` returns scalars: keys without a slash are summed into the total, keys with
    one (`mask/mse`, `mask/mse_weighted`) are only logged. `progress` is the fraction of training
    done, for scheduled weights. Images are normalised float32 [B, 3, S, S]; `sizes_hw` are the
    original images' heights and widths, to which masks and boxes are returned.
    """

    def training_losses(
        self, images_B3HW: Tensor, targets: Targets, progress: float = 0.0
    ) -> dict[str, Tensor]: ...

    def detect(
        self,
        images_B3HW: Tensor,
        sizes_hw: list[tuple[int, int]],
        stopwatch: Stopwatch | None = None,
    ) -> list[Detections]: ...
