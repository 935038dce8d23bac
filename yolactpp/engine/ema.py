"""Exponential moving average of a model's weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class ExponentialMovingAverage:
    """A second model whose weights follow the trained one: a = d * a + (1 - d) * w.

    The decay d grows as min(decay, (1 + n) / (10 + n)) over the updates n, so that a short run is
    not held at its initial weights. Buffers are copied, not averaged.

    Args:
        model: the trained model; copied once.
        decay: final decay, in [0, 1).

    Raises:
        ValueError: decay out of range.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"schedule.ema_decay={decay}: must lie in [0, 1), or null for none")
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(model).requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged = [p.data for p in self.model.parameters()]
        torch._foreach_lerp_(averaged, [p.data for p in model.parameters()], 1 - decay)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.updates = state["updates"]
        self.model.load_state_dict(state["model"])
