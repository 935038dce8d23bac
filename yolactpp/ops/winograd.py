"""3×3 convolution with a quarter of the multiplications, for a CPU: Winograd's F(4×4, 3×3).

Blocks of 4×4 results are computed from 6×6 pixels: both are transformed so that the convolution
becomes 36 products of matrices. Rounding errors are about ten times those of the plain sum, 1e-5 of
the greatest result.
Shape letters: B images, C and K channels, H and W pixels, T blocks.

Source: Lavin & Gray 2016, Fast algorithms for convolutional neural networks; points 0, ±1, ±2, ∞.
"""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

RESULTS, PIXELS = 4, 6
# Blocks that are worked on at once: their transforms should stay in the cache.
BLOCKS = 400

_OF_PIXELS = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_OF_WEIGHT = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
_OF_PRODUCT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    dtype=torch.float64,
)


def transformed_weight(weight_KC33: Tensor) -> Tensor:
    """The weight as `conv3x3` takes it, [36, C, K]; four times as large."""
    transform = _OF_WEIGHT.to(weight_KC33.device)
    weight = torch.einsum("ai,kcij,bj->abck", transform, weight_KC33.double(), transform)
    return weight.flatten(0, 1).to(weight_KC33.dtype).contiguous()


def conv3x3(input_BCHW: Tensor, weight_36CK: Tensor, bias_K: Tensor | None) -> Tensor:
    """Convolution of stride 1 and padding 1; the result [B, K, H, W] is in memory channels last.

    Args:
        input_BCHW: floating point, best in memory channels last; no gradient goes through.
        weight_36CK: of `transformed_weight`.
        bias_K: or None.
    """
    batch, _, height, width = input_BCHW.shape
    down, across = -(-height // RESULTS), -(-width // RESULTS)
    to_end = [1, RESULTS * across + 1 - width, 1, RESULTS * down + 1 - height]
    padded_BHWC = F.pad(input_BCHW.permute(0, 2, 3, 1), [0, 0, *to_end]).contiguous()
    of_pixels, of_product = (
        torch.kron(each, each).to(input_BCHW.dtype) for each in (_OF_PIXELS, _OF_PRODUCT)
    )
    channels = weight_36CK.shape[2]
    result = input_BCHW.new_empty(batch, down, RESULTS, across, RESULTS, channels)
    bands = -(-batch * down * across // BLOCKS)
    for start, stop in _bands(down, min(bands, down)):
        blocks = _blocks(padded_BHWC[:, RESULTS * start : RESULTS * stop + 2], across)
        pixels_36TC = torch.mm(of_pixels, blocks.flatten(1)).view(
            len(of_pixels), -1, blocks.shape[2]
        )
        product_36TK = torch.bmm(pixels_36TC, weight_36CK)
        part = torch.mm(of_product, product_36TK.flatten(1))
        part = part.view(RESULTS, RESULTS, batch, stop - start, across, channels)
        result[:, start:stop] = part.permute(2, 3, 0, 4, 1, 5)
    whole_BHWK = result.view(batch, RESULTS * down, RESULTS * across, channels)[:, :height, :width]
    # Either way the blocks' margin is left behind and what remains lies densely.
    whole_BHWK = whole_BHWK.contiguous() if bias_K is None else whole_BHWK + bias_K
    return whole_BHWK.permute(0, 3, 1, 2)


def _bands(rows: int, bands: int) -> list[tuple[int, int]]:
    """Rows of blocks in bands of about one size: first and past the last."""
    edges = [rows * band // bands for band in range(bands + 1)]
    return list(pairwise(edges))


def _blocks(padded_BHWC: Tensor, across: int) -> Tensor:
    """The overlapping 6×6 blocks of a band, [36, T, C]."""
    batch, height, _, channels = padded_BHWC.shape
    down = (height - 2) // RESULTS
    image, row, pixel, channel = padded_BHWC.stride()
    shape = (PIXELS, PIXELS, batch, down, across, channels)
    strides = (row, pixel, image, RESULTS * row, RESULTS * pixel, channel)
    blocks = padded_BHWC.as_strided(shape, strides, padded_BHWC.storage_offset())
    return blocks.reshape(PIXELS**2, batch * down * across, channels)
