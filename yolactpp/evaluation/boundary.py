"""Boundary AP: mask AP that asks for a good outline. Does not import torch.

An overlap is min(mask IoU, boundary IoU), where a boundary is the pixels of a mask within a
distance of its outline. Source: Cheng et al., Boundary IoU: Improving Object-Centric Image
Segmentation Evaluation, CVPR 2021, section 5.

Shape letters: H and W pixels, N detections, G ground-truth objects.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yolactpp.evaluation.coco import Metrics, summarise
from yolactpp.ops.rle import encode_window

DILATION_RATIO = 0.02
# Below COCO's lowest threshold nothing matches, whatever the boundary says.
LOWEST_IOU = 0.5


def boundary_metrics(
    dataset: dict[str, Any],
    segm_records: Sequence[dict[str, Any]],
    dilation_ratio: float = DILATION_RATIO,
) -> Metrics:
    """COCO's metrics of masks with boundary-aware overlaps, and the dilation they used.

    Args:
        dataset: from `load_annotations`.
        segm_records: stored mask predictions.
        dilation_ratio: the boundary's width as a share of the image's diagonal.

    Returns:
        M as in eval.json, with `dilation_ratio`.
    """
    truth, found = COCO(), COCO()
    with contextlib.redirect_stdout(io.StringIO()):
        truth.dataset = {**dataset, "annotations": [dict(each) for each in dataset["annotations"]]}
        truth.createIndex()
        if segm_records:
            found = truth.loadRes([dict(each) for each in segm_records])
        else:
            found.dataset = {**dataset, "annotations": []}
            found.createIndex()
        evaluation = _BoundaryEvaluation(truth, found, dilation_ratio)
        evaluation.evaluate()
        evaluation.accumulate()
    arrays = {name: np.asarray(evaluation.eval[name]) for name in ("precision", "recall")}
    return {"dilation_ratio": dilation_ratio, **summarise(arrays, dataset["categories"])}


def boundary_rle(rle: dict[str, Any], dilation_ratio: float = DILATION_RATIO) -> dict[str, Any]:
    """RLE of the mask's pixels whose distance to its outline is at most the dilation.

    Distance is counted in whole pixels along rows, columns and diagonals; beyond the image
    everything is outside. Only the mask's bounding box is looked at.

    Args:
        rle: a mask.
        dilation_ratio: width as a share of the image's diagonal, at least one pixel.
    """
    height, width = rle["size"]
    distance = max(1, round(dilation_ratio * float(np.hypot(height, width))))
    left, top, columns, rows = (int(value) for value in coco_mask.toBbox(rle))
    mask_HW = coco_mask.decode(rle)[top : top + rows, left : left + columns].astype(bool)
    edge_HW = mask_HW & ~_eroded(mask_HW, distance)
    return encode_window(edge_HW, top, left, (height, width))


def _eroded(mask_HW: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """Pixels whose square neighbourhood of that distance lies wholly in the mask."""
    window = 2 * distance + 1
    padded = np.pad(mask_HW, distance).astype(np.int32)
    sums = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[window:, window:] - sums[:-window, window:]
    inside += sums[:-window, :-window] - sums[window:, :-window]
    return inside == window**2


class _BoundaryEvaluation(COCOeval):
    """pycocotools' evaluation of masks with the overlap exchanged."""

    def __init__(self, truth: COCO, found: COCO, dilation_ratio: float) -> None:
        super().__init__(truth, found, "segm")
        self.dilation_ratio = dilation_ratio

    def computeIoU(self, imgId: int, catId: int) -> Any:
        """[N, G] overlaps of one image and category, detections by descending score.

        pycocotools calls it by this name for every image and category.
        """
        mask_iou_NG = super().computeIoU(imgId, catId)
        if len(mask_iou_NG) == 0:
            return mask_iou_NG
        truth = self._gts[imgId, catId]
        found = self._dts[imgId, catId]
        order = np.argsort([-each["score"] for each in found], kind="mergesort")
        found = [found[index] for index in order[: self.params.maxDets[-1]]]
        close_N = np.flatnonzero((mask_iou_NG >= LOWEST_IOU).any(axis=1))
        close_G = np.flatnonzero((mask_iou_NG >= LOWEST_IOU).any(axis=0))
        if len(close_N) == 0:
            return mask_iou_NG
        boundary_iou = coco_mask.iou(
            [boundary_rle(found[n]["segmentation"], self.dilation_ratio) for n in close_N],
            [boundary_rle(truth[g]["segmentation"], self.dilation_ratio) for g in close_G],
            [int(truth[g]["iscrowd"]) for g in close_G],
        )
        near = np.ix_(close_N, close_G)
        mask_iou_NG[near] = np.minimum(mask_iou_NG[near], boundary_iou)
        return mask_iou_NG
