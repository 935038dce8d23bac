"""A model's metrics on a validation set: detection on every rank, one evaluation on rank 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolactpp.engine.distributed import World
from yolactpp.engine.precision import Precision
from yolactpp.evaluation.protocols import EvaluationProtocol, evaluate_with
from yolactpp.evaluation.records import detections_to_coco
from yolactpp.evaluation.speed import Preprocess, measure_speed
from yolactpp.structures import Segmenter

Record = dict[str, Any]
ShouldStop = Callable[[], bool]
# Batches that are timed: a CPU, where one may take seconds, gets fewer.
WARM_UP = {"cpu": 2, "cuda": 5}
REPEATS = {"cpu": 10, "cuda": 30}


class EvaluationInterrupted(Exception):
    """Some rank was asked to stop in the middle of an evaluation; raised on all of them."""


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation found.

    Args:
        metrics: `{"bbox": M, "segm": M}` as in eval.json.
        bbox_records: boxes in COCO's results format, all that were detected.
        segm_records: masks in COCO's results format, likewise.
    """

    metrics: dict[str, Any]
    bbox_records: list[Record]
    segm_records: list[Record]


@dataclass(frozen=True)
class GroundTruth:
    """What predictions are compared with, and how.

    Args:
        annotations_file: COCO annotation file of the whole set.
        category_ids: category id of each label.
        protocol: the run's protocol settings; see `EvaluationProtocol`.
        evaluator: `coco` or `inhouse`.
        classes: names of the categories that count; None counts all of the file.
    """

    annotations_file: Path
    category_ids: list[int]
    protocol: Mapping[str, Any]
    evaluator: str = "coco"
    classes: list[str] | None = None


class Evaluator:
    """Evaluates segmenters on one validation set.

    COCO's metrics are counted by faster-coco-eval here, which gives pycocotools' numbers sooner.

    Args:
        loader: this rank's share, as `(images_B3HW, infos)` with image_id, height and width.
        truth: what predictions are compared with.
        device: where the model is.
        precision: autocast of the forward pass.
        world: the ranks that share the set.
        one_image: makes a batch of one image, for timing.
    """

    def __init__(
        self,
        loader: Iterable[tuple[Tensor, Sequence[Any]]],
        truth: GroundTruth,
        *,
        device: torch.device,
        precision: Precision,
        world: World,
        one_image: Preprocess,
    ) -> None:
        self.loader = loader
        self.truth = truth
        self.device = device
        self.precision = precision
        self.world = world
        self.one_image = one_image

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
        bbox = [record for image_id in sorted(merged) for record in merged[image_id][0]]
        segm = [record for image_id in sorted(merged) for record in merged[image_id][1]]
        return Evaluation(self._metrics(bbox, segm), bbox, segm)

    def measure_speed(self, segmenter: Segmenter) -> dict[str, Any]:
        """`speed` of eval.json; the model is left in evaluation mode."""
        segmenter.eval()  # type: ignore[attr-defined]
        return measure_speed(
            segmenter,
            self.one_image,
            device=self.device,
            dtype=self.precision.name,
            warm_up=WARM_UP[self.device.type],
            repeats=REPEATS[self.device.type],
            autocast=self.precision.autocast,
        )

    def _metrics(self, bbox: list[Record], segm: list[Record]) -> dict[str, Any]:
        return evaluate_with(
            self.truth.evaluator,
            self.truth.annotations_file,
            bbox,
            segm,
            EvaluationProtocol.from_settings(self.truth.protocol),
            "faster_coco_eval",
            classes=self.truth.classes,
        )

    def _detect(
        self, segmenter: Segmenter, images_B3HW: Tensor, infos: Sequence[Any]
    ) -> dict[int, tuple[list[Record], list[Record]]]:
        sizes_hw = [(info.height, info.width) for info in infos]
        images_B3HW = images_B3HW.to(self.device, non_blocking=True)
        with torch.inference_mode(), self.precision.autocast():
            detections = segmenter.detect(images_B3HW, sizes_hw)
        return {
            info.image_id: detections_to_coco(each, info.image_id, self.truth.category_ids)
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
