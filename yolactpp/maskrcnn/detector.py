"""From region proposals to detections: suppression within each class, then masks of what is left.

Shape letters: B images, R proposals of an image, F foreground classes, N detections of an image.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.ops import batched_nms, clip_boxes_to_image, remove_small_boxes

from yolactpp.maskrcnn.paste import paste_masks
from yolactpp.ops.mask_crops import CroppedDetections
from yolactpp.structures import Detections, Stopwatch

SMALLEST_SIDE_PX = 0.01


class MaskRcnnDetector:
    """Boxes, classes and masks of a batch's proposals; torchvision's rules (test: test_parity.py).

    Args:
        confidence_threshold: least class probability of a detection.
        nms_threshold: overlap above which the worse of two boxes of a class falls.
        max_detections: kept of an image.
        score_threshold: raises `confidence_threshold` where it is higher.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self,
        *,
        confidence_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        max_detections: int = 100,
        score_threshold: float = 0.0,
    ) -> None:
        if max_detections < 1:
            raise ValueError(f"max_detections={max_detections}: give at least 1")
        for name, value in (
            ("confidence_threshold", confidence_threshold),
            ("nms_threshold", nms_threshold),
            ("score_threshold", score_threshold),
        ):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value}: give a number from 0 to 1")
        self.least_score = max(confidence_threshold, score_threshold)
        self.nms_threshold = nms_threshold
        self.max_detections = max_detections

    def __call__(
        self,
        network: MaskRCNN,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        input_size: tuple[int, int],
        sizes_hw: list[tuple[int, int]],
        stopwatch: Stopwatch | None = None,
    ) -> list[Detections]:
        """Detections of every image, boxes and masks at its original size, on the CPU.

        Args:
            network: in evaluation mode.
            features: of its backbone.
            proposals: x1, y1, x2, y2 in pixels of the input, of each image.
            input_size: height and width of the network's input without padding.
            sizes_hw: height and width of each original image.
            stopwatch: times the stages `detection` and `masks`.
        """
        with stopwatch("detection") if stopwatch else nullcontext():
            found = self._boxes(network, features, proposals, input_size)
        with stopwatch("masks") if stopwatch else nullcontext():
            boxes = [boxes_N4 for boxes_N4, _, _ in found]
            labels_M = torch.cat([labels_N for _, _, labels_N in found])
            soft_Mhw = _soft_masks(network, features, boxes, labels_M, input_size)
            masks = soft_Mhw.split([len(each) for each in boxes])
            return [
                _at_size(*each, soft_Nhw, input_size, size)
                for each, soft_Nhw, size in zip(found, masks, sizes_hw, strict=True)
            ]

    def _boxes(
        self,
        network: MaskRCNN,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        input_size: tuple[int, int],
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        heads = network.roi_heads
        pooled = heads.box_roi_pool(features, proposals, [input_size] * len(proposals))
        class_logits_QC, offsets_QX = heads.box_predictor(heads.box_head(pooled))
        counts = [len(each) for each in proposals]
        probs_QC = class_logits_QC.float().softmax(dim=1)
        boxes_QC4 = heads.box_coder.decode(offsets_QX.float(), proposals)
        return [
            self._select(boxes_RC4, probs_RC, input_size)
            for boxes_RC4, probs_RC in zip(
                boxes_QC4.split(counts), probs_QC.split(counts), strict=True
            )
        ]

    def _select(
        self, boxes_RC4: Tensor, probs_RC: Tensor, input_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes, scores and 0-based labels of an image's detections, best first."""
        boxes_RC4 = clip_boxes_to_image(boxes_RC4, input_size)
        region_K, label_K = (probs_RC[:, 1:] > self.least_score).nonzero().unbind(dim=1)
        boxes_K4 = boxes_RC4[region_K, label_K + 1]
        scores_K = probs_RC[region_K, label_K + 1]
        large = remove_small_boxes(boxes_K4, SMALLEST_SIDE_PX)
        boxes_K4, scores_K, label_K = boxes_K4[large], scores_K[large], label_K[large]
        kept = batched_nms(boxes_K4, scores_K, label_K, self.nms_threshold)
        kept = kept[: self.max_detections]
        return boxes_K4[kept], scores_K[kept], label_K[kept]


def _soft_masks(
    network: MaskRCNN,
    features: dict[str, Tensor],
    boxes: list[Tensor],
    labels_M: Tensor,
    input_size: tuple[int, int],
) -> Tensor:
    """Mask probabilities [M, h, w] of all images' detections, each of its own class."""
    heads = network.roi_heads
    pooled = heads.mask_roi_pool(features, boxes, [input_size] * len(boxes))
    logits_MCHW = heads.mask_predictor(heads.mask_head(pooled))
    index_M = torch.arange(len(labels_M), device=labels_M.device)
    return logits_MCHW[index_M, labels_M + 1].float().sigmoid()


def _at_size(
    boxes_N4: Tensor,
    scores_N: Tensor,
    labels_N: Tensor,
    soft_Nhw: Tensor,
    input_size: tuple[int, int],
    size: tuple[int, int],
) -> Detections:
    down, along = size[0] / input_size[0], size[1] / input_size[1]
    boxes_N4 = (boxes_N4 * boxes_N4.new_tensor([along, down, along, down])).cpu()
    crops = paste_masks(soft_Nhw, boxes_N4, size)
    scores_N = scores_N.cpu()
    return CroppedDetections(boxes_N4, scores_N, scores_N, labels_N.cpu(), crops)
