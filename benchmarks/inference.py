"""From normalised images to detections with masks, against plain parts, in turns.

    python -m benchmarks.inference [--model yolactpp_r101] [--size 550] [--batch 1] [--device cpu]
        [--threads 2] [--clock wall] [--variants channels_last,channels_last+fused]

The first row is the same network with torchvision's deformable convolution, and detection and masks
in loops over images, classes and instances (`tests/references`). Random weights: the threshold is
set so that 200 priors an image are candidates, as with a trained network. A variant is options
joined by a plus: channels_last, fused (batch norm), winograd, bf16, compile, cuda_graphs.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.detection import detect_by_loops, masks_by_loops
from benchmarks.models import build_model, with_torchvision_dcn
from benchmarks.turns import CLOCKS, print_against_first, seconds_in_turns
from yolactpp.engine.compilation import compile_network
from yolactpp.model.fuse import fused
from yolactpp.model.winograd import use_winograd
from yolactpp.model.yolactpp import YolactPP
from yolactpp.timed_model import calm_head, confidence_of_rank

CANDIDATES = 200
ORIGINAL_SIZE = (480, 640)
VARIANTS = "channels_last,channels_last+fused,channels_last+fused+winograd,channels_last+fused+bf16"


def loops(model: YolactPP, images_B3HW: Tensor, threshold: float) -> Callable[[], None]:
    """The plain version of `YolactPP.detect`."""
    network = with_torchvision_dcn(model.network)

    def detect() -> None:
        with torch.inference_mode():
            outputs = network(images_B3HW)
            found = detect_by_loops(outputs, threshold)
            masks_by_loops(found, outputs, ORIGINAL_SIZE)

    return detect


def ours(model: YolactPP, images_B3HW: Tensor, variants: list[str]) -> Callable[[], None]:
    """`YolactPP.detect` with options."""
    network = fused(model.network) if "fused" in variants else model.network
    if "winograd" in variants:
        use_winograd(network)
    if "channels_last" in variants:
        network = network.to(memory_format=torch.channels_last)
        images_B3HW = images_B3HW.contiguous(memory_format=torch.channels_last)
    if "cuda_graphs" in variants:
        compile_network(network, "reduce-overhead")
    elif "compile" in variants:
        compile_network(network, True)
    chosen = YolactPP(network, model.criterion, model.detector).eval()
    device = images_B3HW.device
    sizes = [ORIGINAL_SIZE] * len(images_B3HW)

    def detect() -> None:
        half = torch.autocast(device.type, torch.bfloat16, enabled="bf16" in variants)
        with torch.inference_mode(), half:
            chosen.detect(images_B3HW, sizes)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return detect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="yolactpp_r101")
    parser.add_argument("--size", type=int, default=550)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--variants", default=VARIANTS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = build_model(args.model, args.size, args.classes).to(args.device).eval()
    images = torch.randn(args.batch, 3, args.size, args.size, device=args.device)
    calm_head(model.network, images)
    threshold = confidence_of_rank(model.network, images, CANDIDATES)
    model.detector.confidence_threshold = threshold  # type: ignore[attr-defined]
    work = {"torchvision's DCN, loops": loops(model, images, threshold)}
    for variant in ["", *args.variants.split(",")]:
        copied = build_model(args.model, args.size, args.classes).to(args.device).eval()
        copied.load_state_dict(model.state_dict())
        copied.detector.confidence_threshold = threshold  # type: ignore[attr-defined]
        work[f"ours {variant}"] = ours(copied, images, variant.split("+"))
    print(f"{args.model}, {args.size} px, batch {args.batch}, {args.threads} threads, {args.clock}")
    print_against_first(seconds_in_turns(work, args.repeats, args.clock), args.batch)


if __name__ == "__main__":
    main()
