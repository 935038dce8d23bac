"""Learning rate, iterations and steps: linear warm-up, then a step decay (fact sheet, section 10).

lr(i) = warmup_lr + (lr - warmup_lr) * i / warmup_iterations     for i <= warmup_iterations
lr(i) = lr * gamma^(number of steps s with i >= s)               after that; steps win
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Schedule:
    """When a run ends and how fast it learns.

    Args:
        iterations: optimiser steps of the run.
        lr: learning rate after the warm-up.
        warmup_iterations: steps of the linear warm-up; 0 starts at `lr`.
        warmup_lr: learning rate at iteration 0.
        lr_steps: iterations from which on the rate is multiplied by `lr_gamma` once more.
        lr_gamma: factor of one step.

    Raises:
        ValueError: a value is out of its range; the message names key, value and range.
    """

    iterations: int
    lr: float
    warmup_iterations: int
    warmup_lr: float
    lr_steps: tuple[int, ...]
    lr_gamma: float

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"schedule.iterations={self.iterations}: at least 1 is needed")
        if self.lr <= 0 or self.warmup_lr < 0:
            raise ValueError(
                f"schedule.lr={self.lr}, schedule.warmup_lr={self.warmup_lr}: "
                "lr must be above 0 and warmup_lr not below it"
            )
        if self.warmup_iterations < 0:
            raise ValueError(f"schedule.warmup_iterations={self.warmup_iterations}: not below 0")
        if list(self.lr_steps) != sorted(self.lr_steps):
            raise ValueError(f"schedule.lr_steps={list(self.lr_steps)}: must be in rising order")

    def learning_rate(self, iteration: int) -> float:
        """The rate used for the step at a 0-based iteration."""
        passed = sum(iteration >= step for step in self.lr_steps)
        if passed:
            return self.lr * self.lr_gamma**passed
        if self.warmup_iterations and iteration <= self.warmup_iterations:
            rise = iteration / self.warmup_iterations
            return self.warmup_lr + (self.lr - self.warmup_lr) * rise
        return self.lr


def rescale(
    schedule: Schedule, batch_size: int, base_batch: int = 8, *, rescale_lr: bool = True
) -> Schedule:
    """The schedule for another batch size, seeing as many images: the original's autoscale.

    lr is multiplied by batch_size / base_batch, iterations and steps are floor-divided by it; the
    warm-up stays. The original leaves a learning rate given by hand as it is (`rescale_lr=False`)
    but still rescales the rest.

    Raises:
        ValueError: nothing is left of the iterations.
    """
    factor = batch_size / base_batch
    return replace(
        schedule,
        lr=schedule.lr * factor if rescale_lr else schedule.lr,
        iterations=int(schedule.iterations // factor),
        lr_steps=tuple(int(step // factor) for step in schedule.lr_steps),
    )
