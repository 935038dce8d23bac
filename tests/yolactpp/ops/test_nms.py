"""Fast NMS by hand, greedy NMS against a loop with inclusive coordinates."""

import pytest
import torch

from tests.references.detection import greedy_nms_inclusive
from yolactpp.ops.nms import fast_nms, greedy_nms


def test_fast_nms_worked_example() -> None:
    """The second falls to the first; the third to the second, though that has fallen itself."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 3.5], [20, 20, 30, 30]])
    assert fast_nms(boxes[None], 0.5).tolist() == [[True, False, False, True]]


def test_fast_nms_keeps_an_overlap_equal_to_the_threshold() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])
    assert fast_nms(boxes[None], 0.5).tolist() == [[True, True]]
    assert fast_nms(boxes[None], 0.4999).tolist() == [[True, False]]


def test_groups_do_not_touch_each_other() -> None:
    box = torch.tensor([0.0, 0, 1, 1])
    assert fast_nms(box.expand(3, 1, 4), 0.5).all()


def test_greedy_nms_suppresses_at_an_overlap_equal_to_the_threshold() -> None:
    """Inclusive pixels: 0..3 x 0..3 has 16, 0..3 x 0..1 has 8."""
    boxes = torch.tensor([[0.0, 0, 3, 3], [0, 0, 3, 1]])
    assert greedy_nms(boxes, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0]
    assert greedy_nms(boxes, torch.tensor([0.9, 0.8]), 0.51).tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(4))
def test_greedy_nms_equals_a_loop(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(60, 2, generator=generator) * 60
    boxes = torch.cat([corner, corner + 5 + torch.rand(60, 2, generator=generator) * 40], dim=1)
    scores = torch.rand(60, generator=generator)
    assert greedy_nms(boxes, scores, 0.5).tolist() == greedy_nms_inclusive(boxes, scores, 0.5)
