"""Masks at prototype resolution: assembling, cropping, down-sampling.

Shape letters: B images, N instances, G ground-truth masks, K prototypes, H and W pixels.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from yolactpp.ops.boxes import sanitize_range

# Pixels at once: on a CPU few enough to stay in its cache, on a GPU a bound on memory.
_CPU_BLOCK = 1 << 20
_GPU_BLOCK = 1 << 28


def assemble_masks(prototypes_BHWK: Tensor, coefficients_BNK: Tensor) -> Tensor:
    """Mask logits [B, N, H, W]: the coefficients' linear combination of each image's prototypes.

    Source: YOLACT (Bolya et al. 2019), equation 1, before its sigmoid.
    """
    batch, height, width, _ = prototypes_BHWK.shape
    maps = torch.bmm(coefficients_BNK, prototypes_BHWK.flatten(1, 2).transpose(1, 2))
    return maps.view(batch, -1, height, width)


def crop_mask_NHW(boxes_N4: Tensor, height: int, width: int, padding: int = 1) -> Tensor:
    """True inside each box; its edges are real numbers and are not rounded.

    Column c is kept where x1 <= c < x2 with x1 = max(x·W - padding, 0), x2 = min(x·W + padding, W);
    rows likewise.

    Args:
        boxes_N4: corner form, relative, ends in any order.
        padding: pixels by which a box grows on each side.

    Returns:
        bool [N, height, width].
    """
    rows_NH, columns_NW = crop_sides(boxes_N4, height, width, padding)
    return rows_NH.unsqueeze(2) & columns_NW.unsqueeze(1)


def crop_sides(
    boxes_N4: Tensor, height: int, width: int, padding: int = 1
) -> tuple[Tensor, Tensor]:
    """The rows and the columns that `crop_mask_NHW` keeps, bool [N, height] and [N, width]."""
    columns_NW = _kept(boxes_N4[:, 0], boxes_N4[:, 2], width, padding)
    rows_NH = _kept(boxes_N4[:, 1], boxes_N4[:, 3], height, padding)
    return rows_NH, columns_NW


def downsample_masks(masks_GHW: Tensor, height: int, width: int) -> Tensor:
    """Binary masks at another size: bilinear without antialiasing, half-pixel centres, over 0.5.

    A block of masks at a time, so that a batch's are never all turned into floats.

    Args:
        masks_GHW: 0/1, any type.

    Returns:
        bool [G, height, width].
    """
    pixels = masks_GHW.shape[1] * masks_GHW.shape[2]
    block = max(1, (_GPU_BLOCK if masks_GHW.is_cuda else _CPU_BLOCK) // pixels)
    parts = [
        interpolate(part_gHW[:, None].float(), (height, width), mode="bilinear")[:, 0] > 0.5
        for part_gHW in masks_GHW.split(block)
    ]
    return torch.cat(parts) if len(masks_GHW) else masks_GHW.new_zeros(0, height, width).bool()


def _kept(a_N: Tensor, b_N: Tensor, size: int, padding: int) -> Tensor:
    low, high = sanitize_range(a_N, b_N, size, padding)
    pixel = torch.arange(size, device=a_N.device, dtype=a_N.dtype)
    return (pixel >= low[:, None]) & (pixel < high[:, None])
