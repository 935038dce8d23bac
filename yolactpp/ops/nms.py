"""Non-maximum suppression: Fast NMS (YOLACT, section 5) for many groups at once, and greedy NMS.

Shape letters: G independent groups (image, or image and class), N boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

from yolactpp.ops.boxes import box_iou


def fast_nms(boxes_GN4: Tensor, iou_threshold: float) -> Tensor:
    """What Fast NMS keeps: a box falls if any better box of its group overlaps it by more.

    Unlike greedy NMS a box that itself falls still suppresses, so all groups are one matrix
    operation.

    Args:
        boxes_GN4: corners x1, y1, x2, y2; each group sorted by descending score.
        iou_threshold: a box is kept while its largest overlap with a better one is at most this.

    Returns:
        bool [G, N]; False for a box without area that has a better one without area beside it.

    Source: Bolya et al., YOLACT: Real-time Instance Segmentation, ICCV 2019, section 5.
    """
    overlap_GNN = box_iou(boxes_GN4, boxes_GN4).triu_(diagonal=1)
    return overlap_GNN.amax(dim=1) <= iou_threshold


def greedy_nms(boxes_N4: Tensor, scores_N: Tensor, iou_threshold: float) -> Tensor:
    """Indices kept by greedy NMS as the original's compiled code counts it, best first.

    Pixel coordinates are inclusive there: a box from 3 to 5 is 3 wide; and an overlap equal to
    the threshold already suppresses. Widening the boxes by one and lowering the threshold by one
    float turns torchvision's operator into exactly that.

    Args:
        boxes_N4: corners in pixels.
        scores_N: any order.
        iou_threshold: a box falls if its overlap with a kept better one is at least this.
    """
    widened_N4 = boxes_N4 + boxes_N4.new_tensor([0.0, 0.0, 1.0, 1.0])
    below = torch.nextafter(torch.tensor(iou_threshold), torch.tensor(0.0)).item()
    return nms(widened_N4, scores_N, below)
