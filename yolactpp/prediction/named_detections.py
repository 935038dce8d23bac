"""Detections that know their classes: what a loaded model returns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from yolactpp.evaluation.records import detections_to_coco
from yolactpp.ops.mask_crops import CroppedDetections, MaskCrops
from yolactpp.structures import Detections

if TYPE_CHECKING:
    import supervision

Record = dict[str, Any]


class NamedDetections(Detections):
    """What was found in one image, with its classes' names; fields as of `Detections`.

    Args:
        detections: whose labels all have a name.
        class_names: by label.
        category_ids: of the training data, by label.
    """

    def __init__(
        self, detections: Detections, class_names: Sequence[str], category_ids: Sequence[int]
    ) -> None:
        self.detections = detections
        self.class_names = tuple(class_names)
        self.category_ids = tuple(category_ids)
        self.boxes_N4 = detections.boxes_N4
        self.scores_N = detections.scores_N
        self.mask_scores_N = detections.mask_scores_N
        self.labels_N = detections.labels_N

    @cached_property
    def masks_NHW(self) -> Tensor:  # type: ignore[override]
        return self.detections.masks_NHW

    @property
    def names(self) -> list[str]:
        """Class name of each detection."""
        return [self.class_names[label] for label in self.labels_N.tolist()]

    def to(self, device: torch.device | str) -> Self:
        return type(self)(self.detections.to(device), self.class_names, self.category_ids)

    def to_coco(self, image_id: int = 0) -> tuple[list[Record], list[Record]]:
        """Records of COCO's results format, for boxes and for masks (compressed RLE).

        Boxes carry the class score, masks the re-scored one; a detection whose box has no area is
        left out. Category ids are those of the data the model was trained on.

        Args:
            image_id: id that the records carry.
        """
        return detections_to_coco(self.detections, image_id, self.category_ids)

    def to_supervision(self) -> supervision.Detections:
        """The same as `supervision.Detections`; confidence is the class score.

        Names lie in `data["class_name"]`, re-scored mask scores in `data["mask_score"]`.

        Raises:
            ImportError: supervision, an optional dependency, is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise ImportError(
                "to_supervision needs the package supervision: pip install 'yolactpp-losses"
                "[predict]'"
            ) from error
        return supervision.Detections(
            xyxy=self.boxes_N4.cpu().numpy(),
            mask=self.masks_NHW.cpu().numpy(),
            confidence=self.scores_N.cpu().numpy(),
            class_id=self.labels_N.cpu().numpy(),
            data={
                "class_name": np.array(self.names, dtype=str),
                "mask_score": self.mask_scores_N.cpu().numpy(),
            },
        )

    def __repr__(self) -> str:
        found = ", ".join(
            f"{name} {score:.2f}"
            for name, score in zip(self.names, self.scores_N.tolist(), strict=True)
        )
        return f"{type(self).__name__}({len(self)}: {found})"


def select(detections: Detections, keep_N: Tensor) -> Detections:
    """The detections where `keep_N` (bool) is True."""
    if bool(keep_N.all()):
        return detections
    kept = (
        detections.boxes_N4[keep_N],
        detections.scores_N[keep_N],
        detections.mask_scores_N[keep_N],
        detections.labels_N[keep_N],
    )
    if isinstance(detections, CroppedDetections):
        crops = detections.mask_crops
        windows = [crops.windows[index] for index in keep_N.nonzero()[:, 0].tolist()]
        return CroppedDetections(*kept, MaskCrops(crops.size, windows))
    return Detections(*kept, detections.masks_NHW[keep_N])
