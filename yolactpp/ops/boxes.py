"""Box geometry: centre and corner form, SSD coding against priors, overlaps.

Corner form is x1, y1, x2, y2; centre form is cx, cy, w, h. Both are relative to the image.
Shape letters: N, M boxes; leading dimensions broadcast.
"""

import torch
from torch import Tensor

CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


def center_size(boxes_N4: Tensor) -> Tensor:
    """Corner form to centre form, [..., 4]."""
    low, high = boxes_N4[..., :2], boxes_N4[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def corner_form(boxes_N4: Tensor) -> Tensor:
    """Centre form to corner form, [..., 4]."""
    centre, half = boxes_N4[..., :2], boxes_N4[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def encode(boxes_N4: Tensor, priors_N4: Tensor) -> Tensor:
    """Offsets that turn priors into boxes.

    t_xy = (box_xy - prior_xy) / (0.1 prior_wh), t_wh = ln(box_wh / prior_wh) / 0.2.

    Args:
        boxes_N4: corner form.
        priors_N4: centre form.

    Returns:
        Offsets [..., 4], infinite where a box has no width or height.

    Source: SSD (Liu et al. 2016), section 2.2.
    """
    boxes_N4 = center_size(boxes_N4)
    sizes = priors_N4[..., 2:]
    offset = (boxes_N4[..., :2] - priors_N4[..., :2]) / (CENTRE_VARIANCE * sizes)
    growth = torch.log(boxes_N4[..., 2:] / sizes) / SIZE_VARIANCE
    return torch.cat([offset, growth], dim=-1)


def decode(loc_N4: Tensor, priors_N4: Tensor) -> Tensor:
    """Inverse of `encode`: offsets and centre-form priors to unclipped corner-form boxes."""
    sizes = priors_N4[..., 2:]
    centre = priors_N4[..., :2] + loc_N4[..., :2] * CENTRE_VARIANCE * sizes
    half = sizes * torch.exp(loc_N4[..., 2:] * SIZE_VARIANCE) / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def box_area(boxes_N4: Tensor) -> Tensor:
    """Width times height of corner-form boxes, [...]."""
    return (boxes_N4[..., 2] - boxes_N4[..., 0]) * (boxes_N4[..., 3] - boxes_N4[..., 1])


def box_intersection(a_N4: Tensor, b_M4: Tensor) -> Tensor:
    """Area that each box of `a` shares with each of `b`, corner form, [..., N, M]."""
    x1_a, y1_a, x2_a, y2_a = a_N4.unsqueeze(-2).unbind(-1)
    x1_b, y1_b, x2_b, y2_b = b_M4.unsqueeze(-3).unbind(-1)
    width = _overlap(x1_a, x2_a, x1_b, x2_b)
    return width.mul_(_overlap(y1_a, y2_a, y1_b, y2_b))


def box_iou(a_N4: Tensor, b_M4: Tensor) -> Tensor:
    """Intersection over union of each box of `a` with each of `b`, corner form, [..., N, M]."""
    shared = box_intersection(a_N4, b_M4)
    union = (box_area(a_N4).unsqueeze(-1) + box_area(b_M4).unsqueeze(-2)).sub_(shared)
    return shared.div_(union)


def crowd_iou(boxes_N4: Tensor, crowds_M4: Tensor) -> Tensor:
    """Share of each box that lies in each crowd region, corner form, [..., N, M]."""
    return box_intersection(boxes_N4, crowds_M4).div_(box_area(boxes_N4).unsqueeze(-1))


def sanitize_range(a_N: Tensor, b_N: Tensor, size: int, padding: int = 0) -> tuple[Tensor, Tensor]:
    """One axis of boxes in pixels: sorted, padded, lower end at least 0, upper at most `size`.

    Args:
        a_N, b_N: relative coordinates in any order.
        size: pixels along the axis.
        padding: pixels added at both ends.
    """
    low = torch.minimum(a_N, b_N) * size
    high = torch.maximum(a_N, b_N) * size
    return (low - padding).clamp(min=0), (high + padding).clamp(max=size)


def _overlap(low_a: Tensor, high_a: Tensor, low_b: Tensor, high_b: Tensor) -> Tensor:
    """Length that intervals share; in place, as these are the criterion's largest tensors."""
    shared = torch.minimum(high_a, high_b)
    return shared.sub_(torch.maximum(low_a, low_b)).clamp_(min=0)
