"""Batched detection, masks and their encoding against per-image loops, in turns.

    python -m benchmarks.detection [--batch 4] [--size 1024] [--classes 81] [--threads 2]

Made-up outputs of a trained network at 550 px: every image has objects, each with a cluster of
confident priors around it. The loop versions are what one writes first: per image and class a
sort and an overlap matrix; per instance a whole enlarged mask; pycocotools on whole masks.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou

from tests.references.detection import masks_of_one_image
from yolactpp.evaluation.records import detections_to_coco
from yolactpp.inference.candidates import confident_candidates
from yolactpp.inference.detect import Detector
from yolactpp.model.priors import PriorGrid
from yolactpp.ops.boxes import decode
from yolactpp.structures import HeadOutputs

SIZE = 550
LEVELS = (69, 35, 18, 9, 5)
STRIDES = (8, 16, 32, 64, 128)
PROTOTYPES_SIZE = 138
PROTOTYPES = 32
OBJECTS = 40


def made_up_outputs(batch: int, classes: int) -> HeadOutputs:
    """Objects of 4 to 40 % of the side; the 12 priors nearest to each are confident of it."""
    priors = PriorGrid()([(side, side) for side in LEVELS], STRIDES, SIZE, torch.device("cpu"))
    logits = torch.randn(batch, len(priors), classes)
    logits[..., 0] += 9
    for image in range(batch):
        centre, side = torch.rand(OBJECTS, 2), 0.04 + 0.36 * torch.rand(OBJECTS, 1) ** 2
        targets = torch.cat([centre, side, side], dim=1)
        near = torch.cdist(targets, priors).topk(12, largest=False).indices
        labels = torch.randint(1, classes, (OBJECTS, 1)).expand(-1, 12)
        logits[image, near, labels] += 10
    smooth = functional.interpolate(
        torch.randn(batch, PROTOTYPES, 9, 9), (PROTOTYPES_SIZE, PROTOTYPES_SIZE), mode="bicubic"
    )
    return HeadOutputs(
        0.3 * torch.randn(batch, len(priors), 4),
        logits,
        torch.randn(batch, len(priors), PROTOTYPES).tanh(),
        smooth.clamp(min=0).permute(0, 2, 3, 1).contiguous(),
        priors,
    )


def detect_by_loops(
    outputs: HeadOutputs, confidence: float = 0.05
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Boxes, scores, labels and coefficients, image by image and class by class."""
    results = []
    for image in range(len(outputs.loc_BP4)):
        probs = outputs.class_logits_BPC[image].softmax(-1)[:, 1:]
        keep = probs.max(-1).values > confidence
        probs, boxes = probs[keep], decode(outputs.loc_BP4[image], outputs.priors_P4)[keep]
        coefficients = outputs.coefficients_BPK[image][keep]
        scores, labels, indices = [], [], []
        for label in range(probs.shape[1]):
            ranked, order = probs[:, label].sort(descending=True)
            ranked, order = ranked[:200], order[:200]
            overlap = box_iou(boxes[order], boxes[order]).triu_(diagonal=1)
            kept = overlap.max(0).values <= 0.5
            scores.append(ranked[kept])
            indices.append(order[kept])
            labels.append(torch.full((int(kept.sum()),), label, device=kept.device))
        best, rank = torch.cat(scores).sort(descending=True)
        rank = rank[:100]
        chosen = torch.cat(indices)[rank]
        results.append((boxes[chosen], best[:100], torch.cat(labels)[rank], coefficients[chosen]))
    return results


def masks_by_loops(
    found: list[tuple[Tensor, Tensor, Tensor, Tensor]], outputs: HeadOutputs, size: tuple[int, int]
) -> list[Tensor]:
    """Whole masks [N, H, W] of every image, instance by instance."""
    return [
        masks_of_one_image(coefficients, prototypes, boxes, size)
        for (boxes, _, _, coefficients), prototypes in zip(
            found, outputs.prototypes_BHWK, strict=True
        )
    ]


def encode_by_loops(masks: list[Tensor]) -> list[list[bytes]]:
    return [
        [coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8))) for mask in of_image]
        for of_image in masks
    ]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def one_turn(
    detector: Detector, outputs: HeadOutputs, sizes: list[tuple[int, int]]
) -> dict[str, tuple[float, float]]:
    """Seconds of the loop version and of ours, per stage."""
    loop_detect_s, found = timed(lambda: detect_by_loops(outputs))
    detect_s, ours = timed(
        lambda: detector.find(confident_candidates(outputs, detector.confidence_threshold))
    )
    loop_masks_s, masks = timed(lambda: masks_by_loops(found, outputs, sizes[0]))
    masks_s, detections = timed(
        lambda: detector.postprocessor(
            ours.boxes_BN4,
            ours.scores_BN,
            ours.labels_BN,
            ours.coefficients_BNK,
            ours.is_present_BN,
            outputs.prototypes_BHWK,
            sizes,
        )
    )
    loop_encode_s, _ = timed(lambda: encode_by_loops(masks))
    categories = range(1, outputs.class_logits_BPC.shape[-1])
    encode_s, _ = timed(lambda: [detections_to_coco(each, 0, categories) for each in detections])
    return {
        "detection": (loop_detect_s, detect_s),
        "masks": (loop_masks_s, masks_s),
        "encoding": (loop_encode_s, encode_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=1024, help="side of the original images")
    parser.add_argument("--classes", type=int, default=81)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    outputs, detector = made_up_outputs(args.batch, args.classes), Detector()
    sizes = [(args.size, args.size)] * args.batch
    one_turn(detector, outputs, sizes)
    turns = [one_turn(detector, outputs, sizes) for _ in range(args.repeats)]
    print(f"batch {args.batch}, {args.classes} classes, {args.size} px, {args.threads} threads")
    print(f"{'stage':<12}{'loops ms/image':>16}{'ours ms/image':>16}{'ratio':>8}")
    together_s = [0.0, 0.0]
    for stage in turns[0]:
        loops_s, ours_s = (statistics.median(turn[stage][who] for turn in turns) for who in (0, 1))
        together_s = [together_s[0] + loops_s, together_s[1] + ours_s]
        _print_row(stage, loops_s, ours_s, args.batch)
    _print_row("together", together_s[0], together_s[1], args.batch)


def _print_row(stage: str, loops_s: float, ours_s: float, batch: int) -> None:
    loops_ms, ours_ms = (1e3 * seconds / batch for seconds in (loops_s, ours_s))
    print(f"{stage:<12}{loops_ms:>16.1f}{ours_ms:>16.1f}{loops_ms / ours_ms:>8.1f}")


if __name__ == "__main__":
    main()
