"""The distance transforms against every pair of pixels, and how often they are made."""

import pytest
import torch
from torch import Tensor

import losses
from losses import distance
from losses.distance import signed_distance_NHW, squared_edge_distance_NHW
from losses.per_target import once_per_target


def every_pair(mask_HW: Tensor) -> Tensor:
    """Signed distance by looking at all pixels."""
    inside = mask_HW > 0.5
    out = torch.zeros(mask_HW.shape)
    for row, column in torch.cartesian_prod(*map(torch.arange, mask_HW.shape)):
        other = (inside != inside[row, column]).nonzero()
        if len(other):
            gaps = (other - torch.stack([row, column])).double().square().sum(dim=1)
            sign = -1 if inside[row, column] else 1
            out[row, column] = sign * gaps.min().sqrt()
    return out


@pytest.mark.parametrize("transform", [signed_distance_NHW, lambda m: distance._batched(m > 0.5)])
def test_signed_distance(transform: object) -> None:
    generator = torch.Generator().manual_seed(0)
    masks = (
        torch.rand(5, 9, 7, generator=generator)
        > torch.tensor([0.5, 0.9, 0.1, -1, 2])[:, None, None]
    )
    expected = torch.stack([every_pair(mask.float()) for mask in masks])
    torch.testing.assert_close(transform(masks.float()), expected)  # type: ignore[operator]


def test_a_mask_without_edge_is_infinitely_far_from_it() -> None:
    masks = torch.stack([torch.zeros(3, 3), torch.eye(3)])
    squared = squared_edge_distance_NHW(masks)
    assert squared[0].isinf().all()
    torch.testing.assert_close(squared[1].diagonal(), torch.ones(3))


def test_made_once_for_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = distance._of_one
    monkeypatch.setattr(distance, "_of_one", lambda mask: (calls.append(1), original(mask))[1])
    target = (torch.rand(3, 8, 8) > 0.5).float()
    logits = torch.zeros(3, 8, 8)
    for _ in range(3):
        losses.boundary(logits, target)
        losses.border_bce(logits, target)
    assert len(calls) == 3
    target[0].fill_(0)
    losses.boundary(logits, target)
    assert len(calls) == 6


def test_no_distance_for_losses_that_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Tensor:
        raise AssertionError("a distance map was made")

    monkeypatch.setattr(distance, "_of_one", refuse)
    logits, target = torch.zeros(2, 6, 6), torch.eye(6).expand(2, 6, 6).clone()
    losses.bce(logits, target)
    losses.boundary_iou(logits, target)


def test_maps_die_with_their_target() -> None:
    from losses.per_target import _MAPS

    target = torch.rand(1, 4, 4)
    once_per_target(signed_distance_NHW, target)
    before = len(_MAPS)
    del target
    assert len(_MAPS) == before - 1


def test_full_and_empty_targets_give_boundary_losses_zero() -> None:
    logits = torch.randn(2, 6, 6)
    target = torch.stack([torch.zeros(6, 6), torch.ones(6, 6)])
    assert (losses.boundary(logits, target) == 0).all()
    assert losses.boundary(torch.full((1, 6, 6), 30.0), torch.eye(6)[None]).item() > 0
