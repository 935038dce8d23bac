"""From a map of pixels to one value an instance."""

import torch
from torch import Tensor


def region_sum(map_NHW: Tensor, weight_NHW: Tensor | None) -> Tensor:
    """Weighted sum [N] over each instance's pixels."""
    if weight_NHW is None:
        return map_NHW.sum(dim=(1, 2))
    return torch.linalg.vecdot(map_NHW.flatten(1), weight_NHW.flatten(1))


def region_mean(map_NHW: Tensor, weight_NHW: Tensor | None) -> Tensor:
    """Weighted mean [N] over each instance's pixels; 0 where all its weights are 0."""
    if weight_NHW is None:
        return map_NHW.mean(dim=(1, 2))
    total_N = weight_NHW.sum(dim=(1, 2))
    return region_sum(map_NHW, weight_NHW) / torch.where(total_N > 0, total_N, 1)


def ratio(numerator_N: Tensor, denominator_N: Tensor) -> Tensor:
    """A score numerator / denominator, 1 where both are 0: nothing to find and nothing found."""
    # Not `> 0`, which NaN is not either: a network that diverged would look perfect.
    empty_N = denominator_N == 0
    return torch.where(empty_N, 1, numerator_N / torch.where(empty_N, 1, denominator_N))
