"""Evaluates a loss in the windows of the boxes alone, where nothing outside counts.

Outside its box a pixel has weight 0, and a box is a small part of the map: on a CPU most of the
work would be done for nothing. Windows of about one size are looked at together, so that the number
of calls does not grow with the instances. Shape letters: N instances, n those of a part, H and W
prototype pixels, h and w of a part's windows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

WindowLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]

# Sides of windows: a box takes the next greater one. Each step wastes a fifth of a side at most on
# average; finer ones would make parts too small to pay.
_STEP = 1.4
_LEAST_SIDE = 8
# Maps of fewer pixels altogether are sooner looked at whole.
_WORTH_WHILE = 1 << 20


@dataclass
class Part:
    """Windows of one size.

    Args:
        instance_n: int64, whose they are.
        pixel_nhw: int64, where their pixels lie in the flattened maps [N·H·W].
        inside_nhw: True inside the box; a window may be larger.
    """

    instance_n: Tensor
    pixel_nhw: Tensor
    inside_nhw: Tensor


def pays(logits_NHW: Tensor) -> bool:
    """Whether windows are worth their making; never on a GPU, which they would make wait."""
    return (
        logits_NHW.device.type == "cpu"
        and logits_NHW.numel() >= _WORTH_WHILE
        and not torch.compiler.is_compiling()
    )


def windows(rows_NH: Tensor, columns_NW: Tensor) -> list[Part]:
    """The instances' windows by size.

    Args:
        rows_NH, columns_NW: True in the box, which is one run of rows and of columns.
    """
    height, width = rows_NH.shape[1], columns_NW.shape[1]
    tall_N, top_N = _side_and_start(rows_NH)
    wide_N, left_N = _side_and_start(columns_NW)
    kinds, kind_N = torch.stack([tall_N, wide_N], 1).unique(dim=0, return_inverse=True)
    parts = []
    for kind, (tall, wide) in enumerate(kinds.tolist()):
        index_n = (kind_N == kind).nonzero().flatten()
        row_nh = top_N[index_n, None] + torch.arange(tall)
        column_nw = left_N[index_n, None] + torch.arange(wide)
        inside_nh = rows_NH[index_n].gather(1, row_nh)
        inside_nw = columns_NW[index_n].gather(1, column_nw)
        line_nh = (index_n[:, None] * height + row_nh) * width
        parts.append(
            Part(
                index_n,
                line_nh[:, :, None] + column_nw[:, None, :],
                inside_nh[:, :, None] & inside_nw[:, None, :],
            )
        )
    return parts


def in_windows(
    loss: WindowLoss, logits_NHW: Tensor, target_NHW: Tensor, parts: list[Part]
) -> Tensor:
    """`loss(logits, target, weight)` [N], the weight 1 in the boxes; differentiable once."""
    values: Tensor = _InWindows.apply(loss, parts, logits_NHW, target_NHW)
    return values


def _side_and_start(kept_NX: Tensor) -> tuple[Tensor, Tensor]:
    """Side of each window along an axis, and its first pixel."""
    size = kept_NX.shape[1]
    sides = [min(_LEAST_SIDE, size)]
    while sides[-1] < size:
        sides.append(min(size, round(sides[-1] * _STEP)))
    need_N = kept_NX.sum(dim=1)
    ladder = torch.tensor(sides)
    side_N = ladder[torch.searchsorted(ladder, need_N)]
    first_N = kept_NX.to(torch.uint8).argmax(dim=1)
    return side_N, torch.minimum(first_N, size - side_N)


class _InWindows(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, loss: WindowLoss, parts: list[Part], logits: Tensor, target: Tensor
    ) -> Tensor:
        dtype = torch.promote_types(logits.dtype, torch.float32)
        values = logits.new_empty(len(logits), dtype=dtype)
        slopes: list[Tensor] = []
        for part in parts:
            scores = logits.take(part.pixel_nhw).requires_grad_(ctx.needs_input_grad[2])
            truth, weight = target.take(part.pixel_nhw), part.inside_nhw.to(dtype)
            with torch.set_grad_enabled(scores.requires_grad):
                part_values = loss(scores, truth, weight)
                if scores.requires_grad:
                    slopes += torch.autograd.grad(part_values.sum(), scores)
            values[part.instance_n] = part_values.detach()
        ctx.save_for_backward(*slopes)
        ctx.parts, ctx.shape, ctx.dtype = parts, logits.shape, logits.dtype
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor) -> tuple[None, None, Tensor, None]:
        whole = grad_N.new_zeros(ctx.shape, dtype=ctx.dtype)
        for part, slope in zip(ctx.parts, ctx.saved_tensors, strict=True):
            grad_n = grad_N[part.instance_n].to(slope.dtype)
            whole.view(-1)[part.pixel_nhw.view(-1)] = (slope * grad_n[:, None, None]).view(-1)
        return None, None, whole, None
