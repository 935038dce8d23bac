"""From priors to boxes: which of a batch's priors are detections (YOLACT, section 5).

Shape letters: B images, F foreground classes, K prototypes, Q candidates of an image (padded to the
longest image), T candidates of one class, N detections (padded), G images times classes.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from yolactpp.inference.candidates import ABSENT, Candidates, confident_candidates
from yolactpp.inference.postprocess import MaskIou, Postprocessor
from yolactpp.ops.nms import fast_nms, greedy_nms
from yolactpp.structures import Detections, HeadOutputs, Stopwatch

Mode = Literal["fast", "cross_class", "traditional"]
# Best candidates of each class that Fast NMS looks at first; then twice as many, and so on.
FIRST_LOOK = 32


@dataclass
class Found:
    """Detections of a batch before masks; rows past an image's last one hold score ABSENT.

    Args:
        boxes_BN4: x1, y1, x2, y2 relative to the image, unclipped.
        scores_BN: class probability, descending within an image.
        labels_BN: int64, 0-based foreground class.
        coefficients_BNK: mask coefficients.
    """

    boxes_BN4: Tensor
    scores_BN: Tensor
    labels_BN: Tensor
    coefficients_BNK: Tensor

    @property
    def is_present_BN(self) -> Tensor:
        return self.scores_BN > ABSENT


class Detector:
    """Turns head outputs into detections with masks, for all images of a batch at once.

    Args:
        confidence_threshold: a prior is a candidate if its best foreground probability exceeds it.
        nms_threshold: overlap above which the worse of two boxes falls.
        top_k: candidates looked at per class (mode cross_class: per image).
        max_detections: detections kept per image; mode cross_class keeps all, as the original.
        mode: `fast` suppresses within each class, `cross_class` across classes, `traditional` is
            greedy NMS in pixels as the original's compiled code.
        score_threshold: > 0 keeps only class scores above it; it also spares their masks.
        image_size: side in pixels to which mode traditional scales boxes; 550 in the original,
            whatever the input.
        integer_boxes: truncate boxes to whole pixels as the original does; otherwise they stay
            real (tests: test_postprocess.py).

    Raises:
        ValueError: an unknown mode or a value out of range.
    """

    def __init__(
        self,
        *,
        confidence_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        top_k: int = 200,
        max_detections: int = 100,
        mode: Mode = "fast",
        score_threshold: float = 0.0,
        image_size: int = 550,
        integer_boxes: bool = True,
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode={mode!r}: choose one of {', '.join(get_args(Mode))}")
        if min(top_k, max_detections, image_size) < 1:
            raise ValueError(
                f"top_k={top_k}, max_detections={max_detections}, image_size={image_size}: "
                "each must be at least 1"
            )
        for name, value in (
            ("confidence_threshold", confidence_threshold),
            ("nms_threshold", nms_threshold),
            ("score_threshold", score_threshold),
        ):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value}: give a number from 0 to 1")
        self.confidence_threshold = confidence_threshold
        self.nms_threshold = nms_threshold
        self.top_k = top_k
        self.max_detections = max_detections
        self.mode = mode
        self.score_threshold = score_threshold
        self.image_size = image_size
        self.postprocessor = Postprocessor(integer_boxes=integer_boxes)

    @torch.no_grad()
    def __call__(
        self,
        outputs: HeadOutputs,
        sizes_hw: list[tuple[int, int]],
        mask_iou_net: MaskIou | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> list[Detections]:
        """Detections of every image, boxes and masks at its original size.

        Args:
            outputs: raw head outputs of the batch.
            sizes_hw: height and width of each original image.
            mask_iou_net: `(masks_N1HW) -> (N, F)` predicted mask IoU; None: masks keep the class
                score.
            stopwatch: times the stages `detection` and `masks`.
        """
        # Half precision would change which boxes overlap and which masks cross one half.
        with torch.autocast(outputs.loc_BP4.device.type, enabled=False):
            return self._detect(outputs, sizes_hw, mask_iou_net, stopwatch)

    def _detect(
        self,
        outputs: HeadOutputs,
        sizes_hw: list[tuple[int, int]],
        mask_iou_net: MaskIou | None,
        stopwatch: Stopwatch | None,
    ) -> list[Detections]:
        with stopwatch("detection") if stopwatch else nullcontext():
            found = self.find(confident_candidates(outputs, self.confidence_threshold))
        with stopwatch("masks") if stopwatch else nullcontext():
            return self.postprocessor(
                found.boxes_BN4,
                found.scores_BN,
                found.labels_BN,
                found.coefficients_BNK,
                found.is_present_BN,
                outputs.prototypes_BHWK.float(),
                sizes_hw,
                mask_iou_net,
            )

    def find(self, candidates: Candidates) -> Found:
        """Boxes, classes and mask coefficients of a batch: suppression by the chosen mode."""
        if self.mode == "fast":
            found = self._fast(candidates)
        elif self.mode == "cross_class":
            found = self._cross_class(candidates)
        else:
            found = self._traditional(candidates)
        if self.score_threshold > 0:
            low_BN = found.scores_BN <= self.score_threshold
            found.scores_BN = found.scores_BN.masked_fill(low_BN, ABSENT)
        return found

    def _fast(self, candidates: Candidates) -> Found:
        """Fast NMS in every class. There is no second threshold: low class scores survive.

        Most of each class's 200 candidates score too low to be among the best 100 detections of
        all classes, and what scores lower never suppresses. So the best few of each class are
        looked at first, and more only while they may still matter; the result is the same.
        """
        images, queries, classes = candidates.probs_BQF.shape
        top = min(self.top_k, queries)
        scores_BFT, index_BFT = candidates.probs_BQF.transpose(1, 2).topk(top, dim=-1)
        look = min(FIRST_LOOK, top)
        while True:
            index_BN = index_BFT[..., :look].flatten(1)
            boxes_GT4 = _take(candidates.boxes_BQ4, index_BN).reshape(images * classes, look, 4)
            keep_BFT = fast_nms(boxes_GT4, self.nms_threshold).view(images, classes, look)
            kept_BFT = scores_BFT[..., :look].masked_fill(~keep_BFT, ABSENT)
            if look == top or self._is_enough(kept_BFT, scores_BFT[..., look]):
                break
            look = min(2 * look, top)
        labels_F1 = torch.arange(classes, device=index_BN.device)[:, None]
        labels_BN = labels_F1.expand(images, classes, look).flatten(1)
        return self._best(candidates, kept_BFT.flatten(1), labels_BN, index_BN, self.max_detections)

    def _is_enough(self, kept_BFT: Tensor, next_BF: Tensor) -> bool:
        """Whether each image has its detections among what was kept.

        That is so where enough score above everything that was not looked at, or nothing is left.
        """
        best_left_B = next_BF.amax(dim=1)
        better_B = (kept_BFT > best_left_B[:, None, None]).sum(dim=(1, 2))
        return bool(((better_B >= self.max_detections) | (best_left_B == ABSENT)).all())

    def _cross_class(self, candidates: Candidates) -> Found:
        """Fast NMS over all classes together, each candidate standing for its best class."""
        probs_BQ, labels_BQ = candidates.probs_BQF.max(dim=-1)
        scores_BT, index_BT = probs_BQ.topk(min(self.top_k, probs_BQ.shape[1]), dim=-1)
        keep_BT = fast_nms(_take(candidates.boxes_BQ4, index_BT), self.nms_threshold)
        scores_BT = scores_BT.masked_fill(~keep_BT, ABSENT)
        return self._best(candidates, scores_BT, labels_BQ.gather(1, index_BT), index_BT, None)

    def _traditional(self, candidates: Candidates) -> Found:
        """Greedy NMS per image and class; it is sequential by nature, hence the loops."""
        images, queries, classes = candidates.probs_BQF.shape
        scores_BFQ = torch.full_like(candidates.probs_BQF.transpose(1, 2), ABSENT)
        pixels_BQ4 = candidates.boxes_BQ4 * self.image_size
        for image in range(images):
            for label in range(classes):
                probs_Q = candidates.probs_BQF[image, :, label]
                index = (probs_Q > self.confidence_threshold).nonzero()[:, 0]
                keep = greedy_nms(pixels_BQ4[image, index], probs_Q[index], self.nms_threshold)
                scores_BFQ[image, label, index[keep]] = probs_Q[index[keep]]
        index_BN = torch.arange(queries, device=scores_BFQ.device).repeat(images, classes)
        labels_BN = torch.arange(classes, device=scores_BFQ.device).repeat_interleave(queries)
        return self._best(
            candidates,
            scores_BFQ.flatten(1),
            labels_BN.expand(images, -1),
            index_BN,
            self.max_detections,
        )

    def _best(
        self,
        candidates: Candidates,
        scores_BN: Tensor,
        labels_BN: Tensor,
        index_BN: Tensor,
        limit: int | None,
    ) -> Found:
        """The `limit` best of what was kept, in descending order of score."""
        number = scores_BN.shape[1] if limit is None else min(limit, scores_BN.shape[1])
        best_BN, rank_BN = scores_BN.topk(number, dim=1)
        chosen_BN = index_BN.gather(1, rank_BN)
        return Found(
            _take(candidates.boxes_BQ4, chosen_BN),
            best_BN,
            labels_BN.gather(1, rank_BN),
            _take(candidates.coefficients_BQK, chosen_BN),
        )


def _take(rows_BQX: Tensor, index_BN: Tensor) -> Tensor:
    """Rows by index within each image: [B, N, X]."""
    return rows_BQX.gather(1, index_BN[..., None].expand(-1, -1, rows_BQX.shape[-1]))
