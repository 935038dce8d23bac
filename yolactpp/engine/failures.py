"""What can end a run early, and the word status.json holds for it."""

from __future__ import annotations


class BadInputError(Exception):
    """What the user wrote or provided is wrong: what, its value and the mend. Exit status 2."""


class CheckpointError(Exception):
    """A checkpoint can be neither read nor written; the message names the file and the reason."""


class NonFiniteError(Exception):
    """A loss term or a gradient became infinite or NaN.

    Args:
        term: name of the first offending loss term, or `gradient of PARAMETER`.
        iteration: 0-based iteration whose step was not taken.
    """

    def __init__(self, term: str, iteration: int, values: dict[str, float]) -> None:
        listed = ", ".join(f"{name} {value:g}" for name, value in values.items())
        super().__init__(f"{term} is not finite at iteration {iteration} ({listed})")
        self.term = term
        self.iteration = iteration


class RunStopped(Exception):
    """The run was asked to stop, wrote a checkpoint and can be started again.

    Args:
        reason: `interrupted` (Ctrl-C) or `preempted` (a scheduler's signal).
        iteration: iterations done, all of them in the checkpoint.
    """

    def __init__(self, reason: str, iteration: int) -> None:
        super().__init__(
            f"{reason} after {iteration} iterations; the same command goes on from there"
        )
        self.reason = reason
        self.iteration = iteration


def reason_of(error: BaseException) -> str:
    """The reason that status.json gives for a failure: `nan`, `oom` or `error`.

    Compares class names, so that this module works without importing torch.
    """
    if isinstance(error, NonFiniteError):
        return "nan"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    return "error"
