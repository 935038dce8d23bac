"""Exact Euclidean distance transforms of binary masks, on the processor or on the GPU."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from losses.per_target import once_per_target

# Numbers in one temporary of the GPU transform.
_GPU_CHUNK = 1 << 26


@torch.no_grad()
def signed_distance_NHW(mask_NHW: Tensor) -> Tensor:
    """Distance in pixels to the nearest pixel of the other kind: negative inside, positive outside.

    A mask without an edge, empty or full, has distance 0 everywhere; elsewhere it is never 0.

    Args:
        mask_NHW: more than ½ is inside.

    Returns:
        float32, [N, H, W].
    """
    inside_NHW = mask_NHW > 0.5
    if inside_NHW.device.type == "cpu":
        signed = [_of_one(each) for each in inside_NHW.numpy()]
        return torch.from_numpy(np.stack(signed)) if signed else torch.zeros(mask_NHW.shape)
    return _batched(inside_NHW)


def squared_edge_distance_NHW(mask_NHW: Tensor) -> Tensor:
    """Squared distance in pixels to the nearest pixel of the other kind; infinite without an edge.

    Args:
        mask_NHW: more than ½ is inside.

    Returns:
        float32, [N, H, W].
    """
    squared_NHW = once_per_target(signed_distance_NHW, mask_NHW).square()
    return squared_NHW.masked_fill_(squared_NHW == 0, torch.inf)


def _of_one(inside: np.ndarray) -> np.ndarray:
    if inside.all() or not inside.any():
        return np.zeros(inside.shape, np.float32)
    out = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    return np.asarray(out, np.float32)


def _batched(inside_NHW: Tensor) -> Tensor:
    to_inside, to_outside = _squared(inside_NHW).sqrt(), _squared(~inside_NHW).sqrt()
    signed_NHW = to_inside - to_outside
    return torch.where(signed_NHW.isfinite(), signed_NHW, 0)


def _squared(features_NHW: Tensor) -> Tensor:
    """Squared distance to the nearest True; infinite where an instance has none.

    Separable: the least over rows of the least over columns, each a minimum of parabolas.
    """
    cost_NHW = torch.where(features_NHW, 0.0, torch.inf)
    per_instance = cost_NHW[0].numel() * max(cost_NHW.shape[1:]) if len(cost_NHW) else 1
    size = max(1, _GPU_CHUNK // per_instance)
    parts = [_lower(_lower(part).mT).mT for part in cost_NHW.split(size)]
    return torch.cat(parts)


def _lower(cost_NHW: Tensor) -> Tensor:
    grid_W = torch.arange(cost_NHW.shape[2], device=cost_NHW.device, dtype=cost_NHW.dtype)
    parabola_WW = (grid_W[:, None] - grid_W).square()
    return (cost_NHW[:, :, None, :] + parabola_WW).amin(dim=3)
