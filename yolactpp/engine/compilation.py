"""torch.compile of a network, as the setting `runtime.compile` asks for it."""

from __future__ import annotations

from torch import nn

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


def compile_network(network: nn.Module, setting: bool | str) -> None:
    """Compile a network in place at its first call.

    Args:
        network: what is compiled; losses and detection, whose shapes hang on values, are not.
        setting: false, true (`default`) or a mode of torch.compile; `reduce-overhead` records
            CUDA graphs, which pays at small batches.

    Raises:
        ValueError: an unknown mode.
    """
    if setting is False:
        return
    mode = "default" if setting is True else setting
    if mode not in MODES:
        raise ValueError(f"runtime.compile={setting}: choose false, true or one of {MODES}")
    network.compile(mode=mode)
