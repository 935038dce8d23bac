"""What a mask loss refuses: wrong shapes and types always, wrong values where it costs no wait.

Looking at values on a GPU makes the host wait for it, so by default only tensors on the CPU are
looked at; `with check_values(True)` looks everywhere, `with check_values(False)` nowhere. On a GPU
a NaN logit still shows as a NaN loss, at which the trainer stops.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from losses.per_target import once_per_target

_VALUES_CHECKED: ContextVar[bool | None] = ContextVar("values_checked", default=None)


@contextmanager
def check_values(everywhere: bool | None) -> Iterator[None]:
    """Whether values are looked at inside the block: True, False, or None for on the CPU only."""
    token = _VALUES_CHECKED.set(everywhere)
    try:
        yield
    finally:
        _VALUES_CHECKED.reset(token)


def check_inputs(name: str, logits: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Refuse what is not raw scores, a target in [0, 1] and a weight >= 0, all of one shape.

    Args:
        name: of the loss, for the message.
        logits: [N, H, W], floating point.
        target: [N, H, W], floating point, in [0, 1].
        weight: [N, H, W], floating point, >= 0, or None.

    Raises:
        TypeError: integer or boolean logits, target or weight.
        ValueError: another shape, a target outside [0, 1], a negative weight.
    """
    if logits.ndim != 3 or 0 in logits.shape[1:]:
        shape = tuple(logits.shape)
        raise ValueError(f"{name}: logits of shape {shape}, must be [N, H, W], H and W at least 1")
    for label, tensor in (("logits", logits), ("target", target), ("weight", weight)):
        if tensor is None:
            continue
        if not tensor.is_floating_point():
            raise TypeError(f"{name}: {label} is {tensor.dtype}, must be floating: pass .float()")
        if tensor.shape != logits.shape:
            shapes = f"{tuple(tensor.shape)} but logits {tuple(logits.shape)}"
            raise ValueError(f"{name}: {label} has shape {shapes}: they must be equal")
    if not _looks_at_values(logits):
        return
    low, high = once_per_target(_range, target)
    if not bool((low >= 0) & (high <= 1)):
        raise ValueError(
            f"{name}: target spans [{low.item():g}, {high.item():g}], must lie in [0, 1]: "
            "divide masks of 0 and 255 by 255"
        )
    if weight is not None and not bool(weight.detach().amin() >= 0):
        raise ValueError(f"{name}: weight has minimum {weight.amin().item():g}, must be >= 0")


def check_result(name: str, values_N: Tensor, logits: Tensor) -> None:
    """Refuse NaN logits by what came of them: one look at each instance, not at each pixel.

    Raises:
        ValueError: NaN logits.
    """
    if _looks_at_values(logits) and bool(values_N.detach().isnan().any()):
        _refuse_nan(name, logits)


@contextmanager
def nan_explains(name: str, logits: Tensor) -> Iterator[None]:
    """Says of a loss that fails inside the block that its logits are NaN, where they are.

    Raises:
        ValueError: NaN logits, in place of the loss's own error.
    """
    try:
        yield
    except Exception:
        if _looks_at_values(logits):
            _refuse_nan(name, logits)
        raise


def _refuse_nan(name: str, logits: Tensor) -> None:
    if bool(logits.detach().isnan().any()):
        raise ValueError(f"{name}: logits hold NaN: look for the layer that diverged")


def _looks_at_values(logits: Tensor) -> bool:
    if torch.compiler.is_compiling() or logits.numel() == 0:
        return False
    wanted = _VALUES_CHECKED.get()
    return logits.device.type == "cpu" if wanted is None else wanted


def _range(target: Tensor) -> Tensor:
    # Both are NaN as soon as one value is.
    return torch.stack(torch.aminmax(target))
