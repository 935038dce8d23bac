"""A model's metrics on a validation set: detection on every rank, one evaluation on rank 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolactpp.engine.distributed import World
from yolactpp.engine.precision import Precision
from yolactpp.engine.speed import measure_speed
from yolactpp.evaluation.coco import Backend, coco_metrics
from yolactpp.evaluation.records import detections_to_coco
from yolactpp.structures import Segmenter

Record = dict[str, Any]
ShouldStop = Callable[[], bool]


class EvaluationInterrupted(Exception):
    """Some rank was asked to stop in the middle of an evaluation; raised on all of them."""


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation found.

    Args:
        metrics: `{"bbox": M, "segm": M}` as in eval.json.
        bbox_records: boxes in COCO's results format.
        segm_records: masks in COCO's results format.
        images: number of images looked at.
        annotations: number of annotations they are compared with.
    """

    metrics: dict[str, Any]
    bbox_records: list[Record]
    segm_records: list[Record]
    images: int
    annotations: int


class Evaluator:
    """Evaluates segmenters on one validation set.

    Args:
        loader: this rank's share, as `(images_B3HW, infos)` with image_id, height and width.
        annotations_file: COCO annotation file of the whole set.
        annotations: number of annotations in it.
        category_ids: category id of each label.
        device: where the model is.
        precision: autocast of the forward pass.
        world: the ranks that share the set.
        backend: pycocotools or faster_coco_eval.
    """

    def __init__(
        self,
        loader: Iterable[tuple[Tensor, Sequence[Any]]],
        annotations_file: Path,
        annotations: int,
        category_ids: list[int],
        *,
        device: torch.device,
        precision: Precision,
        world: World,
        backend: Backend = "pycocotools",
    ) -> None:
        self.loader = loader
        self.annotations_file = annotations_file
        self.annotations = annotations
        self.category_ids = category_ids
        self.device = device
        self.precision = precision
        self.world = world
        self.backend = backend

    def __call__(
        self, segmenter: Segmenter, should_stop: ShouldStop = lambda: False
    ) -> Evaluation | None:
        """The evaluation on rank 0, None on the others; the model is left in evaluation mode.

        Raises:
            EvaluationInterrupted: `should_stop` said so on some rank.
        """
        segmenter.eval()  # type: ignore[attr-defined]
        found: dict[int, tuple[list[Record], list[Record]]] = {}
        for images_B3HW, infos in self.loader:
            if should_stop():
                break
            found |= self._detect(segmenter, images_B3HW, infos)
        self._agree_to_go_on(should_stop())
        merged = self._merge(found)
        if merged is None:
            return None
        image_ids = sorted(merged)
        bbox = [record for image_id in image_ids for record in merged[image_id][0]]
        segm = [record for image_id in image_ids for record in merged[image_id][1]]
        metrics = coco_metrics(self.annotations_file, bbox, segm, backend=self.backend)
        return Evaluation(metrics, bbox, segm, len(image_ids), self.annotations)

    def measure_speed(self, segmenter: Segmenter) -> dict[str, Any]:
        """`speed` of eval.json, on the first image of the set."""
        images_B3HW, infos = next(iter(self.loader))
        first_13HW = images_B3HW[:1].to(self.device)
        return measure_speed(
            segmenter, first_13HW, [(infos[0].height, infos[0].width)], self.precision
        )

    def _detect(
        self, segmenter: Segmenter, images_B3HW: Tensor, infos: Sequence[Any]
    ) -> dict[int, tuple[list[Record], list[Record]]]:
        sizes_hw = [(info.height, info.width) for info in infos]
        images_B3HW = images_B3HW.to(self.device, non_blocking=True)
        with torch.inference_mode(), self.precision.autocast():
            detections = segmenter.detect(images_B3HW, sizes_hw)
        return {
            info.image_id: detections_to_coco(each, info.image_id, self.category_ids)
            for info, each in zip(infos, detections, strict=True)
        }

    def _agree_to_go_on(self, stop_here: bool) -> None:
        wishes = torch.tensor(float(stop_here), device=self.device)
        if float(self.world.sum(wishes)) > 0:
            raise EvaluationInterrupted

    def _merge(self, found: dict[int, Any]) -> dict[int, Any] | None:
        """All ranks' images on rank 0; an image that two ranks saw counts once."""
        gathered = self.world.gather(found)
        if not self.world.is_main:
            return None
        return {image_id: records for share in gathered for image_id, records in share.items()}
