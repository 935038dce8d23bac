"""Masks at prototype resolution: assembling, cropping, down-sampling.

Shape letters: B images, N instances, G ground-truth masks, K prototypes, H and W pixels.
"""

import torch
from torch import Tensor

from yolactpp.ops.boxes import sanitize_range


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
    columns = _kept(boxes_N4[:, 0], boxes_N4[:, 2], width, padding)
    rows = _kept(boxes_N4[:, 1], boxes_N4[:, 3], height, padding)
    return rows.unsqueeze(2) & columns.unsqueeze(1)


def downsample_masks(masks_GHW: Tensor, height: int, width: int) -> Tensor:
    """Binary masks at another size: bilinear without antialiasing, half-pixel centres, over 0.5.

    Equals `interpolate(masks, mode="bilinear") > 0.5` and reads only the four pixels around each
    sample, so that large masks are never turned into floats.

    Args:
        masks_GHW: 0/1, any type.

    Returns:
        bool [G, height, width].
    """
    top, bottom, share_H = _neighbours(masks_GHW.shape[1], height, masks_GHW.device)
    left, right, share_W = _neighbours(masks_GHW.shape[2], width, masks_GHW.device)
    value = torch.zeros(1, device=masks_GHW.device)
    for row, share_row in ((top, 1 - share_H), (bottom, share_H)):
        rows_GhW = masks_GHW.index_select(1, row)
        line = rows_GhW.index_select(2, left) * (1 - share_W)
        line += rows_GhW.index_select(2, right) * share_W
        value = value + line * share_row[:, None]
    return value > 0.5


def _kept(a_N: Tensor, b_N: Tensor, size: int, padding: int) -> Tensor:
    low, high = sanitize_range(a_N, b_N, size, padding)
    pixel = torch.arange(size, device=a_N.device, dtype=a_N.dtype)
    return (pixel >= low[:, None]) & (pixel < high[:, None])


def _neighbours(source: int, wanted: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Lower and upper source index of each sample and the upper one's share."""
    at = (torch.arange(wanted, device=device) + 0.5) * (source / wanted) - 0.5
    at = at.clamp(min=0)
    low = at.long().clamp(max=source - 1)
    return low, (low + 1).clamp(max=source - 1), at - low
