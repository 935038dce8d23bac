"""With static shapes, as on a GPU, the number of operations does not grow with the batch."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import losses
from benchmarks.criterion import random_targets
from benchmarks.models import build_model
from losses import instances, ohem
from yolactpp.criterion import matching, views
from yolactpp.criterion.criterion import Criterion
from yolactpp.ops import masks

BLOCKS = (
    (instances, "CPU_GROUP"),
    (ohem, "_CPU_BLOCK"),
    (matching, "_BLOCK"),
    (views, "_CPU_BLOCK"),
    (masks, "_CPU_BLOCK"),
)


class Counting(TorchDispatchMode):
    """Counts the operations that reach a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.operations += 1
        return function(*args, **(kwargs or {}))


def count(batch: int) -> Counting:
    torch.manual_seed(0)
    model = build_model("yolactpp_tiny", 64, 2)
    outputs = model.network(torch.randn(batch, 3, 64, 64))
    criterion = Criterion(
        mask_loss=losses.single(losses.Bce()),
        box_loss=losses.SmoothL1(),
        class_loss=losses.Ohem(),
        static_shapes=True,
    )
    targets = random_targets(batch, 3, 3, size=64, classes=3)
    with losses.check_values(False), Counting() as counting:
        criterion(outputs, targets, model.network.mask_iou)
    return counting


def test_operations_do_not_grow_with_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocks as large as a GPU's; on a CPU they are of the size of its cache.
    for module, name in BLOCKS:
        monkeypatch.setattr(module, name, 1 << 26)
    assert count(2).operations == count(6).operations
