"""Detection and mask assembly as plain loops: what the batched versions must equal."""

import torch
from torch import Tensor
from torch.nn import functional

from yolactpp.ops.boxes import decode


def iou(a: Tensor, b: Tensor) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = float(width * height)
    total = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]))
    return shared / (total - shared)


def fast_nms_of_one_image(
    probs_PC: Tensor,
    loc_P4: Tensor,
    priors_P4: Tensor,
    *,
    confidence: float = 0.05,
    threshold: float = 0.5,
    top_k: int = 200,
    max_detections: int = 100,
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores and labels of one image, pair by pair."""
    candidates = [p for p in range(len(probs_PC)) if probs_PC[p, 1:].max() > confidence]
    boxes = {p: decode(loc_P4[p], priors_P4[p]) for p in candidates}
    kept = []
    for label in range(probs_PC.shape[1] - 1):
        ranked = sorted(candidates, key=lambda p: -float(probs_PC[p, label + 1]))[:top_k]
        for rank, p in enumerate(ranked):
            if all(iou(boxes[p], boxes[better]) <= threshold for better in ranked[:rank]):
                kept.append((float(probs_PC[p, label + 1]), label, p))
    kept = sorted(kept, key=lambda each: -each[0])[:max_detections]
    return (
        torch.stack([boxes[p] for _, _, p in kept]),
        torch.tensor([score for score, _, _ in kept]),
        torch.tensor([label for _, label, _ in kept]),
    )


def greedy_nms_inclusive(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    """Greedy NMS with inclusive pixel coordinates, suppressing at an equal overlap too."""
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        wide = boxes[index] + torch.tensor([0.0, 0.0, 1.0, 1.0])
        others = [boxes[k] + torch.tensor([0.0, 0.0, 1.0, 1.0]) for k in kept]
        if all(iou(wide, other) < threshold for other in others):
            kept.append(index)
    return kept


def masks_of_one_image(
    coefficients_NK: Tensor, prototypes_HWK: Tensor, boxes_N4: Tensor, size: tuple[int, int]
) -> Tensor:
    """Full-size bool masks, instance by instance: assemble, crop, enlarge the whole, cut at 0.5."""
    height, width, _ = prototypes_HWK.shape
    masks = coefficients_NK.new_zeros(len(coefficients_NK), *size, dtype=torch.bool)
    for n, (coefficients, box) in enumerate(zip(coefficients_NK, boxes_N4, strict=True)):
        soft = (prototypes_HWK @ coefficients).sigmoid()
        x1, x2 = sorted((float(box[0]) * width, float(box[2]) * width))
        y1, y2 = sorted((float(box[1]) * height, float(box[3]) * height))
        columns = torch.arange(width, device=soft.device)
        rows = torch.arange(height, device=soft.device)
        inside_x = (columns >= max(x1 - 1, 0)) & (columns < min(x2 + 1, width))
        inside_y = (rows >= max(y1 - 1, 0)) & (rows < min(y2 + 1, height))
        soft = soft * inside_x[None, :] * inside_y[:, None]
        large = functional.interpolate(soft[None, None], size, mode="bilinear", align_corners=False)
        masks[n] = large[0, 0] > 0.5
    return masks
