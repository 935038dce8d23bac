"""Time and memory of every mask loss, beside BCE's and the same loss of a public library.

    python -m benchmarks.losses [--instances 100] [--size 138] [--device cpu] [--rounds 9]

Forward and backward, in rounds that take turns so that a busy machine slows all alike; a turn is
several calls, as what a call frees the next one gets again. The least wall time of each is kept.
Memory is the peak above the inputs, in copies of the logits. Targets: a pixel loss takes at most
1.5 times BCE's time and 4 copies; a loss that a library has takes at most the library's time.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.ops import sigmoid_focal_loss

# Run as a file, this module would itself be what `import losses` finds first.
sys.path[:] = [each for each in sys.path if Path(each).resolve() != Path(__file__).resolve().parent]
import losses  # noqa: E402

LossFunction = Callable[[Tensor, Tensor], Tensor]
MOST_BCE, MOST_COPIES = 1.5, 4.0
CALLS = 5


def mask_losses() -> dict[str, Callable[..., Tensor]]:
    """Every function of the catalogue, BCE first."""
    found = {
        name: value
        for name, value in vars(losses).items()
        if hasattr(value, "kind") and not isinstance(value, type)
    }
    return {"bce": found.pop("bce"), **found}


def oracles() -> dict[str, tuple[str, LossFunction]]:
    """The same losses of torchvision and, where installed, MONAI and smp."""
    found: dict[str, tuple[str, LossFunction]] = {
        "focal": ("torchvision", lambda z, t: sigmoid_focal_loss(z, t, reduction="mean"))
    }
    return found | _of_monai() | _of_smp()


def seconds(loss: LossFunction, logits: Tensor, target: Tensor) -> float:
    """Wall time of one forward and backward, the least of a turn of calls."""
    least = float("inf")
    for _ in range(CALLS):
        logits.grad = None
        if logits.is_cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        loss(logits, target).sum().backward()
        if logits.is_cuda:
            torch.cuda.synchronize()
        least = min(least, time.perf_counter() - start)
    return least


class PeakMemory(TorchDispatchMode):
    """Follows the storages that operators make: the most bytes alive at once."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.known = {each.untyped_storage().data_ptr() for each in known}
        self.alive: dict[int, SimpleNamespace] = {}
        self.peak = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._note(leaf)
        return result

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.known:
            handle = torch.multiprocessing.reductions.StorageWeakRef(storage)
            self.alive[handle.cdata] = SimpleNamespace(handle=handle, size=storage.nbytes())
        self.alive = {key: each for key, each in self.alive.items() if not each.handle.expired()}
        self.peak = max(self.peak, sum(each.size for each in self.alive.values()))


def copies(loss: LossFunction, logits: Tensor, target: Tensor) -> float:
    """Peak memory of one forward and backward, the gradient included, in copies of the logits."""
    logits.grad = None
    if logits.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss(logits, target).sum().backward()
        return (torch.cuda.max_memory_allocated() - before) / logits.nbytes
    with PeakMemory([logits, target]) as memory:
        loss(logits, target).sum().backward()
    return memory.peak / logits.nbytes


def measure(
    candidates: dict[str, LossFunction], logits: Tensor, target: Tensor, rounds: int
) -> dict[str, float]:
    """The least seconds of each, in `rounds` turns."""
    # As in a process that trains: once it has freed a great block, the C library keeps what is
    # freed, where before it may give it back after each call and fault it in again page by page.
    freed_block = torch.empty(7 << 20)
    del freed_block
    least = {name: seconds(loss, logits, target) for name, loss in candidates.items()}
    for _ in range(rounds):
        for name, loss in candidates.items():
            least[name] = min(least[name], seconds(loss, logits, target))
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="losses to measure; all by default")
    parser.add_argument("--instances", type=int, default=100)
    parser.add_argument("--size", type=int, default=138)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    generator = torch.Generator().manual_seed(0)
    shape = (options.instances, options.size, options.size)
    logits = (torch.randn(shape, generator=generator) * 3).to(options.device).requires_grad_()
    target = (F.avg_pool2d(torch.randn(shape, generator=generator), 9, 1, 4) > 0.1).float()
    target = target.to(options.device)
    ours = {k: v for k, v in mask_losses().items() if not options.names or k in options.names}
    ours = {"bce": losses.bce, **ours}
    theirs = {name: oracle for name, oracle in oracles().items() if name in ours}
    candidates = ours | {f"oracle of {name}": oracle for name, (_, oracle) in theirs.items()}
    least = measure(candidates, logits, target, options.rounds)
    console = Console(width=100)
    console.print(_table(ours, theirs, least, logits, target))
    console.print(f"{shape} float32 on {options.device}, {torch.get_num_threads()} thread(s)")


def _table(
    ours: dict[str, Callable[..., Tensor]],
    theirs: dict[str, tuple[str, LossFunction]],
    least: dict[str, float],
    logits: Tensor,
    target: Tensor,
) -> Table:
    table = Table("loss", "kind", "ms", "x BCE", "x library", "library", "copies", "over")
    for name, loss in ours.items():
        library, to_bce = theirs.get(name, ("", None))[0], least[name] / least["bce"]
        to_library = least[name] / least[f"oracle of {name}"] if library else None
        memory = copies(loss, logits, target)
        is_pixel = loss.kind == "pixel"  # type: ignore[attr-defined]
        over = [
            label
            for label, exceeded in (
                ("BCE", is_pixel and to_bce > MOST_BCE),
                ("library", to_library is not None and to_library > 1),
                ("memory", is_pixel and memory > MOST_COPIES),
            )
            if exceeded
        ]
        ratio = "" if to_library is None else f"{to_library:.2f}"
        row = (f"{least[name] * 1e3:.1f}", f"{to_bce:.2f}", ratio, library, f"{memory:.2f}")
        table.add_row(name, "pixel" if is_pixel else "region", *row, ", ".join(over))
    return table


def _of_monai() -> dict[str, tuple[str, LossFunction]]:
    try:
        from monai import losses as monai
    except ImportError:
        return {}
    both = {"sigmoid": True, "reduction": "none"}
    made = {
        "dice": monai.DiceLoss(**both),
        "dice_squared": monai.DiceLoss(squared_pred=True, **both),
        "jaccard": monai.DiceLoss(jaccard=True, **both),
        "tversky": monai.TverskyLoss(**both),
        "hausdorff_dt": monai.HausdorffDTLoss(include_background=True, **both),
    }
    found = {name: ("MONAI", _on_channels(oracle)) for name, oracle in made.items()}
    generalised = monai.GeneralizedDiceLoss(softmax=True, reduction="none")
    return found | {"generalised_dice": ("MONAI", _on_two_channels(generalised))}


def _of_smp() -> dict[str, tuple[str, LossFunction]]:
    try:
        from segmentation_models_pytorch import losses as smp
    except ImportError:
        return {}
    smoothed = smp.SoftBCEWithLogitsLoss(smooth_factor=0.025)
    return {
        "bce": ("smp", smp.SoftBCEWithLogitsLoss()),
        "lovasz_hinge": ("smp", smp.LovaszLoss("binary", per_image=True)),
        "label_smoothing_bce": ("smp", smoothed),
        "focal_tversky": ("smp", _on_channels(smp.TverskyLoss("binary", gamma=0.75))),
    }


def _on_channels(oracle: LossFunction) -> LossFunction:
    return lambda logits, target: oracle(logits[:, None], target[:, None])


def _on_two_channels(oracle: LossFunction) -> LossFunction:
    """Background and object: a softmax over (0, z) is (1 - p, p)."""

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        scores = torch.stack([torch.zeros_like(logits), logits], dim=1)
        return oracle(scores, torch.stack([1 - target, target], dim=1))

    return loss


if __name__ == "__main__":
    main()
