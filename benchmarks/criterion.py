"""The batched criterion against the loop version that is its test reference, forward and backward.

    python -m benchmarks.criterion [--batch 16] [--objects 10 20] [--threads 2] [--repeats 3]
        [--clock wall] [--device cpu]

Random outputs of a network for 550 px images: 57744 priors, 81 classes, 138 px prototypes.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor

import losses
from benchmarks.turns import CLOCKS, Clock
from tests.references.criterion import criterion_loops
from yolactpp.criterion.criterion import Criterion
from yolactpp.model.mask_iou import MaskIouNet
from yolactpp.model.priors import PriorGrid
from yolactpp.structures import HeadOutputs, Targets

SIZE = 550
PROTOTYPES_SIZE = 138
LEVELS = (69, 35, 18, 9, 5)
STRIDES = (8, 16, 32, 64, 128)
CLASSES = 81
PROTOTYPES = 32


def random_targets(
    batch: int, fewest: int, most: int, size: int = SIZE, classes: int = CLASSES
) -> Targets:
    """Ellipses of 3 to 40 % of the image's side."""
    boxes, labels, masks = [], [], []
    grid = (torch.arange(size) + 0.5) / size
    for _ in range(batch):
        count = int(torch.randint(fewest, most + 1, ()))
        sides = 0.03 + 0.37 * torch.rand(count, 2) ** 2
        low = torch.rand(count, 2) * (1 - sides)
        boxes.append(torch.cat([low, low + sides], 1))
        labels.append(torch.randint(0, classes - 1, (count,)))
        x, y = (
            ((grid - (low + sides / 2)[:, i, None]) / sides[:, i, None] * 2) ** 2 for i in (0, 1)
        )
        masks.append(((y[:, :, None] + x[:, None, :]) < 1).to(torch.uint8))
    return Targets.from_images(boxes, labels, masks)


def random_outputs(batch: int, device: str = "cpu") -> HeadOutputs:
    priors = PriorGrid()([(side, side) for side in LEVELS], STRIDES, SIZE, torch.device("cpu"))
    count = len(priors)
    values = HeadOutputs(
        loc_BP4=torch.randn(batch, count, 4),
        class_logits_BPC=torch.randn(batch, count, CLASSES),
        coefficients_BPK=torch.randn(batch, count, PROTOTYPES).tanh(),
        prototypes_BHWK=torch.rand(batch, PROTOTYPES_SIZE, PROTOTYPES_SIZE, PROTOTYPES),
        priors_P4=priors,
        semantic_logits_BCHW=torch.randn(batch, CLASSES - 1, LEVELS[0], LEVELS[0]),
    )
    on_device = {name: value.to(device) for name, value in vars(values).items()}
    for name, value in on_device.items():
        value.requires_grad_(name != "priors_P4")
    return HeadOutputs(**on_device)


def step_s(losses_of: Callable[[], dict[str, Tensor]], clock: Clock) -> tuple[float, float]:
    """Seconds of the forward and of the backward pass."""
    start = clock()
    values = losses_of()
    middle = clock()
    total = torch.stack([value for key, value in values.items() if "/" not in key]).sum()
    total.backward()
    if total.is_cuda:
        torch.cuda.synchronize()
    return middle - start, clock() - middle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--objects", type=int, nargs=2, default=(10, 20))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    targets = random_targets(arguments.batch, *arguments.objects).to(arguments.device)
    outputs = random_outputs(arguments.batch, arguments.device)
    net = MaskIouNet((8, 16, 32, 64, 128), CLASSES - 1).to(arguments.device)
    batched = Criterion(
        mask_loss=losses.single(losses.Bce()),
        box_loss=losses.SmoothL1(),
        class_loss=losses.Ohem(),
    )
    work = {
        "loops": lambda: criterion_loops(outputs, targets, net),
        "batched": lambda: batched(outputs, targets, net),
    }
    clock = CLOCKS[arguments.clock]
    turns = [
        {name: step_s(losses_of, clock) for name, losses_of in work.items()}
        for _ in range(arguments.repeats + 1)
    ]
    seconds = {
        name: [statistics.median(turn[name][part] for turn in turns[1:]) for part in (0, 1)]
        for name in work
    }
    for name, (forward, backward) in seconds.items():
        print(f"{name:8} forward {forward:6.3f} s  backward {backward:6.3f} s")
    ratio = sum(seconds["loops"]) / sum(seconds["batched"])
    print(
        f"loops / batched = {ratio:.2f} ({arguments.clock} time) at batch {arguments.batch}, "
        f"{arguments.threads} threads"
    )


if __name__ == "__main__":
    main()
