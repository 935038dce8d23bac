"""A trained model as a function from images to detections."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch

from yolactpp.data.resize import EvalTransform
from yolactpp.prediction.images import ImageLike, Pixels, as_bgr
from yolactpp.prediction.named_detections import NamedDetections, select
from yolactpp.structures import Segmenter, Stopwatch

BATCH_DIMENSIONS = 4


class Predictor:
    """Images of any size to detections at that size.

    Args:
        segmenter: in evaluation mode, on `device`.
        class_names: by label; a label without a name (protocol.phantom_classes) is left out of
            what is found.
        category_ids: of the training data, by label.
        image_size: side of the network's input in pixels.
        device: where the network runs.
        max_detections: best detections of an image to keep; None keeps what the model finds.
        run_id: the run the weights come from.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        *,
        class_names: Sequence[str],
        category_ids: Sequence[int],
        image_size: int,
        device: torch.device | str = "cpu",
        max_detections: int | None = None,
        run_id: str = "",
    ) -> None:
        self.segmenter = segmenter
        self.class_names = tuple(class_names)
        self.category_ids = tuple(category_ids)
        self.image_size = image_size
        self.device = torch.device(device)
        self.max_detections = max_detections
        self.run_id = run_id
        self._transform = EvalTransform(image_size)

    def __call__(
        self, images: ImageLike | Sequence[ImageLike], batch_size: int = 8
    ) -> list[NamedDetections]:
        """Detections of each image, in order; a single image gives a list of one.

        Args:
            images: see `images.as_bgr` for what an image may be; an array or tensor of four
                dimensions is a batch of them.
            batch_size: images that go through the network at once.

        Raises:
            ImageError, ValueError, TypeError: see `images.as_bgr`.
        """
        listed = _list_of_images(images)
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: give at least 1")
        found: list[NamedDetections] = []
        for start in range(0, len(listed), batch_size):
            batch = [as_bgr(image) for image in listed[start : start + batch_size]]
            found += self.detect(batch)
        return found

    @torch.no_grad()
    def detect(
        self, images_bgr: Sequence[Pixels], stopwatch: Stopwatch | None = None
    ) -> list[NamedDetections]:
        """Detections of one batch.

        Args:
            images_bgr: uint8 [H, W, 3] each, of any sizes.
            stopwatch: times the stages `preparation`, `forward`, `detection` and `masks`.
        """
        with stopwatch("preparation") if stopwatch else nullcontext():
            batch_B3SS = torch.stack([self._transform(image) for image in images_bgr])
            batch_B3SS = batch_B3SS.to(self.device)
        sizes_hw = [(image.shape[0], image.shape[1]) for image in images_bgr]
        found = self.segmenter.detect(batch_B3SS, sizes_hw, stopwatch)
        named = []
        for detections in found:
            keep_N = detections.labels_N < len(self.class_names)
            if self.max_detections is not None:
                keep_N &= keep_N.cumsum(0) <= self.max_detections
            kept = select(detections, keep_N)
            named.append(NamedDetections(kept, self.class_names, self.category_ids))
        return named


def _list_of_images(images: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    if isinstance(images, list | tuple):
        return list(images)
    if isinstance(images, np.ndarray | torch.Tensor) and images.ndim == BATCH_DIMENSIONS:
        return list(images)
    return [images]  # type: ignore[list-item]
