"""What is made of a target once, however many losses ask: distances to its edge, its range."""

from collections.abc import Callable, MutableMapping

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

MapOf = Callable[[Tensor], Tensor]

# Lives exactly as long as the targets do; the version tells a target that was written into since.
_MAPS: MutableMapping[Tensor, dict[MapOf, tuple[int, Tensor]]] = WeakTensorKeyDictionary()


def once_per_target(map_of: MapOf, target_NHW: Tensor) -> Tensor:
    """`map_of(target)`, kept as long as this very target lives unchanged.

    What is written by way of `.data` or of the numpy array behind a tensor is not noticed.
    """
    target_NHW = target_NHW if not target_NHW.requires_grad else target_NHW.detach()
    if target_NHW.is_inference():
        return _made(map_of, target_NHW)
    maps = _MAPS.setdefault(target_NHW, {})
    version, made_NHW = maps.get(map_of, (None, None))
    if made_NHW is None or version != target_NHW._version:
        made_NHW = _made(map_of, target_NHW)
        maps[map_of] = (target_NHW._version, made_NHW)
    return made_NHW


@torch.no_grad()
def _made(map_of: MapOf, target_NHW: Tensor) -> Tensor:
    return map_of(target_NHW)
