"""Average precision from scored hits: 101 recall points under the precision envelope."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RECALL_POINTS = np.arange(101) / 100


def average_precision(
    scores: NDArray[np.float64], is_hit: NDArray[np.bool_], num_truth: int
) -> float:
    """Mean over 101 recalls of the best precision at that recall or beyond; 0 without truth.

    Args:
        scores: any order; equal scores keep theirs.
        is_hit: whether each detection found an object.
        num_truth: objects there were to find.

    Source: the original YOLACT's evaluation, which follows COCO's.
    """
    if num_truth == 0 or len(scores) == 0:
        return 0.0
    order = np.argsort(-np.asarray(scores), kind="stable")
    hits = np.cumsum(np.asarray(is_hit)[order])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    index = np.searchsorted(hits / num_truth, RECALL_POINTS, side="left")
    reached = index < len(envelope)
    return float(envelope[index[reached]].sum() / len(RECALL_POINTS))
