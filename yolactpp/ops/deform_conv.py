"""Modulated deformable convolution (DCNv2), argument-compatible with torchvision's.

Shape letters: N images, C input and O output channels, H and W input pixels, Y and X output
pixels, T taps, G offset groups, M samples (one a tap of an output pixel and offset group).
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

Backend = Literal["auto", "gather", "grid_sample", "torchvision"]


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
) -> Tensor:
    """out(p) = bias + sum over taps t of weight_t . mask_t(p) * input(s p + t + offset_t(p)).

    The input is read bilinearly and is 0 outside: a tap at or beyond -1 or the size gives 0, a
    missing corner counts 0. Positions are computed in at least float32 whatever the dtypes.

    Args:
        input: [N, C, H, W]; a channels_last input gives a channels_last output.
        offset: [N, 2 G T, Y, X], pixels, dy and dx of each tap in turn.
        weight: [O, C / groups, kernel height, kernel width].
        bias: [O].
        stride: of the output grid, in input pixels, as `padding` and `dilation`.
        padding: zeros around the input.
        dilation: distance between taps.
        mask: [N, G T, Y, X], the taps' modulation; None means 1.
        backend: `gather` sums the four rows under each tap from the channels-last input and is the
            fastest on CPU; `grid_sample` the same by torch's sampler; `torchvision` its operator;
            `auto` takes gather on CPU and grid_sample elsewhere.

    Returns:
        [N, O, Y, X].

    Raises:
        ValueError: if the shapes do not fit each other or the backend is not known.

    Source: Zhu et al. 2019 (Deformable ConvNets v2). `benchmarks/deform_conv.py` has the speeds.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend={backend!r} is not known: use {', '.join(get_args(Backend))}")
    stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    _check(input, offset, weight, mask, stride, padding, dilation)
    if backend == "torchvision":
        return _by_torchvision(input, offset, weight, bias, stride, padding, dilation, mask)
    y_NGTYX, x_NGTYX = _positions(offset, weight.shape[2:], stride, padding, dilation)
    mask_NGTYX = None if mask is None else mask.view(y_NGTYX.shape)
    if backend == "gather" or (backend == "auto" and input.device.type == "cpu"):
        columns_NPTC = _gather(input, y_NGTYX, x_NGTYX, mask_NGTYX)
        out = _multiply_rows(columns_NPTC, weight, bias, offset.shape[2:])
    else:
        samples_NCTYX = _grid_sample(input, y_NGTYX, x_NGTYX, mask_NGTYX)
        out = _multiply_maps(samples_NCTYX, weight, bias)
    return _like(out, input)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _check(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    taps = weight.shape[2] * weight.shape[3]
    channels, groups = input.shape[1], offset.shape[1] // (2 * taps)
    if groups == 0 or offset.shape[1] % (2 * taps) or channels % groups:
        raise ValueError(
            f"offset has {offset.shape[1]} channels: give 2 * {taps} taps * a divisor of the "
            f"input's {channels} channels"
        )
    if channels % weight.shape[1]:
        raise ValueError(
            f"weight takes {weight.shape[1]} channels: give a divisor of the input's {channels}"
        )
    size = tuple(
        (side + 2 * pad - far * (kernel - 1) - 1) // step + 1
        for side, pad, far, kernel, step in zip(
            input.shape[2:], padding, dilation, weight.shape[2:], stride, strict=True
        )
    )
    expected = (input.shape[0], offset.shape[1], *size)
    if tuple(offset.shape) != expected:
        raise ValueError(f"offset has shape {tuple(offset.shape)}: give {expected}")
    if mask is not None and tuple(mask.shape) != (input.shape[0], groups * taps, *size):
        expected = (input.shape[0], groups * taps, *size)
        raise ValueError(f"mask has shape {tuple(mask.shape)}: give {expected}")


def _positions(
    offset: Tensor,
    kernel: torch.Size,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Rows and columns [N, G, T, Y, X], in input pixels, at which the taps read."""
    dtype = torch.promote_types(offset.dtype, torch.float32)
    images, channels, height, width = offset.shape
    taps = kernel[0] * kernel[1]
    offset = offset.to(dtype).view(images, channels // (2 * taps), taps, 2, height, width)

    def regular(axis: int, cells: int) -> tuple[Tensor, Tensor]:
        tap = torch.arange(kernel[axis], device=offset.device, dtype=dtype) * dilation[axis]
        cell = torch.arange(cells, device=offset.device, dtype=dtype) * stride[axis]
        return tap, cell - padding[axis]

    tap_y, cell_y = regular(0, height)
    tap_x, cell_x = regular(1, width)
    y_TY = tap_y.repeat_interleave(kernel[1])[:, None] + cell_y
    x_TX = tap_x.repeat(kernel[0])[:, None] + cell_x
    dy, dx = offset.unbind(dim=3)
    return dy + y_TY[:, :, None], dx + x_TX[:, None, :]


def _neighbours(
    position_M: Tensor, size: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Cells before and after a position: indices (int32, clamped) and weights (0 outside)."""
    before = position_M.detach().floor()
    fraction = position_M - before
    index = before.int()
    inside = (index >= 0) & (index < size), (index >= -1) & (index < size - 1)
    indices = index.clamp(0, size - 1), (index + 1).clamp(0, size - 1)
    return indices, ((1 - fraction) * inside[0], fraction * inside[1])


def _gather(input: Tensor, y_NGTYX: Tensor, x_NGTYX: Tensor, mask_NGTYX: Tensor | None) -> Tensor:
    """Modulated samples [N, Y * X, T, C]: weighted sums of four rows of the channels-last input.

    The modulation is folded into the four corner weights, so it costs no pass over the samples.
    """
    images, channels, height, width = input.shape
    groups, taps, out_height, out_width = y_NGTYX.shape[1:]

    def flatten(samples_NGTYX: Tensor) -> Tensor:
        return samples_NGTYX.permute(0, 3, 4, 2, 1).reshape(-1)

    (top, bottom), (above, below) = _neighbours(flatten(y_NGTYX), height)
    (left, right), (before, after) = _neighbours(flatten(x_NGTYX), width)
    if mask_NGTYX is not None:
        mask_M = flatten(mask_NGTYX)
        above, below = above * mask_M, below * mask_M
    corners = (above * before, above * after, below * before, below * after)
    top, bottom = top * width, bottom * width
    pixel_M4 = torch.stack([top + left, top + right, bottom + left, bottom + right], dim=-1)
    image = torch.arange(images, device=input.device, dtype=torch.int32) * (height * width)
    pixel_NPG4 = pixel_M4.view(images, out_height * out_width * taps, groups, 4)
    group = torch.arange(groups, device=input.device, dtype=torch.int32)
    row_NPG4 = (pixel_NPG4 + image[:, None, None, None]) * groups + group[:, None]
    samples_MC = F.embedding_bag(
        row_NPG4.view(-1, 4),
        input.permute(0, 2, 3, 1).reshape(-1, channels // groups).to(y_NGTYX.dtype),
        per_sample_weights=torch.stack(corners, dim=-1).to(y_NGTYX.dtype),
        mode="sum",
    )
    return samples_MC.view(images, out_height * out_width, taps, channels).to(input.dtype)


def _multiply_rows(
    columns_NPTC: Tensor, weight: Tensor, bias: Tensor | None, size: torch.Size
) -> Tensor:
    """Output [N, O, Y, X] in channels-last memory: one matrix product over all images' pixels."""
    out_channels, per_group = weight.shape[:2]
    images, pixels, taps, channels = columns_NPTC.shape
    groups = channels // per_group
    kernel = weight.permute(0, 2, 3, 1).reshape(out_channels, taps * per_group)
    if groups == 1:
        rows = F.linear(columns_NPTC.view(images * pixels, taps * channels), kernel, bias)
    else:
        grouped = columns_NPTC.view(images * pixels, taps, groups, per_group).transpose(1, 2)
        kernels = kernel.view(groups, out_channels // groups, taps * per_group)
        rows = torch.einsum("pgk,gok->pgo", grouped.flatten(2), kernels).flatten(1)
        rows = rows if bias is None else rows + bias.to(rows.dtype)
    return rows.view(images, *size, out_channels).permute(0, 3, 1, 2)


def _grid_sample(
    input: Tensor, y_NGTYX: Tensor, x_NGTYX: Tensor, mask_NGTYX: Tensor | None
) -> Tensor:
    """Modulated samples [N, C, T, Y, X] by torch's bilinear sampler."""
    images, channels, height, width = input.shape
    groups, taps, out_height, out_width = y_NGTYX.shape[1:]
    grid = torch.stack([(2 * x_NGTYX + 1) / width - 1, (2 * y_NGTYX + 1) / height - 1], dim=-1)
    samples = F.grid_sample(
        input.reshape(images * groups, channels // groups, height, width).to(grid.dtype),
        grid.view(images * groups, taps * out_height, out_width, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    ).view(images, groups, channels // groups, taps, out_height, out_width)
    if mask_NGTYX is not None:
        samples = samples * mask_NGTYX[:, :, None]
    return samples.view(images, channels, taps, out_height, out_width).to(input.dtype)


def _multiply_maps(samples_NCTYX: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out_channels, per_group = weight.shape[:2]
    images, channels = samples_NCTYX.shape[:2]
    groups = channels // per_group
    taps, out_height, out_width = samples_NCTYX.shape[2:]
    columns = samples_NCTYX.view(images, groups, per_group * taps, out_height * out_width)
    kernel = weight.reshape(groups, out_channels // groups, -1)
    out = torch.matmul(kernel, columns).view(images, out_channels, out_height, out_width)
    if bias is not None:
        out = out + bias.to(out.dtype)[:, None, None]
    return out


def _by_torchvision(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    mask: Tensor | None,
) -> Tensor:
    """torchvision's operator, which has no half precisions and answers in NCHW, made to fit."""
    dtype = torch.promote_types(input.dtype, torch.float32)
    with torch.autocast(input.device.type, enabled=False):
        out = torchvision_deform_conv2d(
            input.to(dtype),
            offset.to(dtype),
            weight.to(dtype),
            None if bias is None else bias.to(dtype),
            stride,
            padding,
            dilation,
            None if mask is None else mask.to(dtype),
        ).to(input.dtype)
    return _like(out, input)


def _like(out: Tensor, input: Tensor) -> Tensor:
    """`out` in the memory format of `input`."""
    last = input.is_contiguous(memory_format=torch.channels_last) and not input.is_contiguous()
    return out.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
