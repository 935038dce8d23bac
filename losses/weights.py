"""The weight of a term: a number, a schedule over training, or learned."""

import math

import torch
from torch import Tensor, nn


class Constant:
    """The same weight throughout.

    Args:
        value: the weight.
    """

    def __init__(self, *, value: float) -> None:
        self.value = _finite("Constant", "value", value)

    def __call__(self, progress: float) -> float:  # noqa: ARG002
        """The weight at a fraction of training done, in [0, 1]."""
        return self.value


class Linear:
    """From `start` to `end` in a straight line.

    The rebalancing of the boundary loss (Kervadec 2019) is a region loss with Linear(1, 0.01)
    beside the boundary loss with Linear(0.01, 1).

    Args:
        start: weight at the beginning of training.
        end: weight from the fraction `until` on.
        until: fraction of training at which the end is reached, in (0, 1].
    """

    def __init__(self, *, start: float, end: float, until: float = 1.0) -> None:
        self.start = _finite(type(self).__name__, "start", start)
        self.end = _finite(type(self).__name__, "end", end)
        if not 0 < until <= 1:
            raise ValueError(f"{type(self).__name__}: until={until!r}, must be a number in (0, 1]")
        self.until = until

    def __call__(self, progress: float) -> float:
        """The weight at a fraction of training done, in [0, 1]."""
        done = self._eased(min(max(progress / self.until, 0.0), 1.0))
        return self.start + (self.end - self.start) * done

    def _eased(self, done: float) -> float:
        return done


class Cosine(Linear):
    """From `start` to `end` along half a cosine: slow, fast, slow. Arguments as in `Linear`."""

    def _eased(self, done: float) -> float:
        return (1 - math.cos(math.pi * done)) / 2


class Learned(nn.Module):
    """A weight exp(−s) learned with the network, s = ln σ² the task's uncertainty.

    The term becomes exp(−s)·loss + s: without the second part s would grow until nothing is left
    of the loss. Only for losses that are never negative: there the weight would grow for ever.

    Args:
        initial: weight at the beginning, > 0.

    Source: Kendall, Gal, Cipolla 2018 (their regression form, times 2).
    """

    def __init__(self, *, initial: float = 1.0) -> None:
        super().__init__()
        if not (initial > 0 and math.isfinite(initial)):
            raise ValueError(f"Learned: initial={initial!r}, must be a finite number > 0")
        self.log_variance = nn.Parameter(torch.tensor(-math.log(initial)))

    def forward(self) -> Tensor:
        """The weight, a scalar."""
        return torch.exp(-self.log_variance)


Schedule = Constant | Linear
Weight = float | Schedule | Learned


def _finite(owner: str, name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{owner}: {name}={value!r}, must be a finite number")
    return value
