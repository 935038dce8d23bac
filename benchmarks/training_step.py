"""A whole training step against plain parts and with each option, in turns.

    python -m benchmarks.training_step [--model yolactpp_tiny] [--size 128] [--batch 8]
        [--device cpu] [--threads 2] [--clock wall] [--variants channels_last,channels_last+bf16]

Forward, losses, backward, gradient norm and SGD, on made-up images and targets; no data loading.
The first row is the same network with torchvision's deformable convolution and the criterion in
loops over images and objects (`tests/references`). A variant is options joined by a plus:
fused_sgd, channels_last, bf16, compile.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.criterion import random_targets
from benchmarks.models import build_model, with_torchvision_dcn
from benchmarks.turns import CLOCKS, print_against_first, seconds_in_turns
from tests.references.criterion import criterion_loops
from yolactpp.engine.compilation import compile_network
from yolactpp.engine.distributed import World
from yolactpp.engine.precision import Precision
from yolactpp.engine.step import OptimizerStep, StepResult
from yolactpp.model.yolactpp import YolactPP
from yolactpp.structures import Targets

VARIANTS = "fused_sgd,channels_last,bf16,channels_last+bf16"
RATE = 1e-4


class PlainModel(nn.Module):
    """torchvision's deformable convolution and the loop criterion."""

    def __init__(self, model: YolactPP) -> None:
        super().__init__()
        self.network = with_torchvision_dcn(model.network)

    def forward(
        self,
        images_B3HW: Tensor,
        targets: Targets,
        progress: float,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        return criterion_loops(self.network(images_B3HW), targets, self.network.mask_iou)


def step_of(
    model: nn.Module, images_B3HW: Tensor, targets: Targets, variants: list[str]
) -> Callable[[], StepResult]:
    """A training step of the engine with options."""
    device = images_B3HW.device
    model = model.train()
    if "channels_last" in variants:
        model = model.to(memory_format=torch.channels_last)
        images_B3HW = images_B3HW.contiguous(memory_format=torch.channels_last)
    if "compile" in variants:
        compile_network(model.network, True)  # type: ignore[arg-type]
    fused = True if "fused_sgd" in variants else None
    optimizer = torch.optim.SGD(
        model.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4, fused=fused
    )
    precision = Precision("bf16" if "bf16" in variants else "fp32", device)
    step = OptimizerStep(model, optimizer, precision, World())

    def once() -> StepResult:
        result = step((images_B3HW, targets), 0, 0.0)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return result

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="yolactpp_tiny")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--classes", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--objects", type=int, nargs=2, default=(1, 6))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--variants", default=VARIANTS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    images = torch.randn(args.batch, 3, args.size, args.size, device=args.device)
    targets = random_targets(args.batch, *args.objects, args.size, args.classes + 1)
    targets = targets.to(args.device)

    def made() -> YolactPP:
        return build_model(args.model, args.size, args.classes).to(args.device)

    work = {"torchvision's DCN, loops": step_of(PlainModel(made()), images, targets, [])}
    for variant in ["", *args.variants.split(",")]:
        work[f"ours {variant}"] = step_of(made(), images, targets, variant.split("+"))
    print(f"{args.model}, {args.size} px, batch {args.batch}, {args.threads} threads, {args.clock}")
    print_against_first(seconds_in_turns(work, args.repeats, args.clock), args.batch)


if __name__ == "__main__":
    main()
