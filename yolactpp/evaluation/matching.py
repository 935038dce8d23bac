"""Which detection found which object of an image. Does not import torch.

Shape letters: G ground-truth objects, N detections (by descending score).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolactpp.evaluation.coco import Kind
from yolactpp.evaluation.instances import ImageInstances

UNMATCHED = -1
IGNORED = -2
MAX_DETECTIONS = 100


@dataclass
class Matches:
    """The best detections of an image, each with its object.

    Args:
        order_N: indices into the image's detections, by descending score, at most 100.
        object_N: index of the object found, UNMATCHED, or IGNORED on a crowd of its class.
        iou_NG: overlaps of the detections in this order.
    """

    order_N: NDArray[np.int64]
    object_N: NDArray[np.int64]
    iou_NG: NDArray[np.float64]


def match_image(image: ImageInstances, kind: Kind, iou_threshold: float) -> Matches:
    """Each detection, best first, takes the free object of its class that it overlaps most.

    The overlap must be at least the threshold, as in COCO's evaluation.
    """
    order_N = np.argsort(-image.scores(kind), kind="stable")[:MAX_DETECTIONS]
    iou_NG = image.ious(kind)[order_N]
    object_N = np.full(len(order_N), UNMATCHED)
    same_NG = image.labels_N[order_N][:, None] == image.truth_labels_G[None]
    free_NG = np.where(same_NG & ~image.is_crowd_G, iou_NG, 0.0)
    crowd_NG = np.where(same_NG & image.is_crowd_G, iou_NG, 0.0)
    for n in range(len(order_N)):
        if free_NG.shape[1] == 0:
            break
        best = int(free_NG[n].argmax())
        if free_NG[n, best] >= iou_threshold:
            object_N[n] = best
            free_NG[:, best] = 0
        elif crowd_NG[n].max() >= iou_threshold:
            object_N[n] = IGNORED
    return Matches(order_N, object_N, iou_NG)
