"""Composition against naive loops: regions, normalisers, weights that change or are learned."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import losses
from losses import Constant, Cosine, Learned, Linear, MaskLoss, Term
from losses.regions import box_crop_NHW
from tests.losses.cases import random_case

BOXES = torch.tensor(
    [[0.2, 0.1, 0.7, 0.8], [0.0, 0.0, 1.0, 1.0], [0.9, 0.6, 0.5, 0.2], [0.5, 0.5, 0.501, 0.501]],
    dtype=torch.float64,
)
HEIGHT, WIDTH = 12, 10


def inside(box: Tensor, row: int, column: int) -> bool:
    """YOLACT's rule, one pixel at a time."""
    xs, ys = (
        sorted([box[0].item() * WIDTH, box[2].item() * WIDTH]),
        sorted([box[1].item() * HEIGHT, box[3].item() * HEIGHT]),
    )
    across = max(xs[0] - 1, 0) <= column < min(xs[1] + 1, WIDTH)
    down = max(ys[0] - 1, 0) <= row < min(ys[1] + 1, HEIGHT)
    return across and down


def naive(
    logits: Tensor,
    target: Tensor,
    box: Tensor,
    *,
    region: str,
    normaliser: str,
    crop: str,
    least: float,
) -> float:
    """BCE of one instance by loops over its pixels."""
    total, pixels = 0.0, 0
    for row in range(HEIGHT):
        for column in range(WIDTH):
            z, t = logits[row, column].item(), target[row, column].item()
            cut = region == "cropped" and not inside(box, row, column)
            if cut and crop == "weight":
                continue
            total += 100 * t if cut else math.log1p(math.exp(z)) - z * t
            pixels += 1
    sides = box[2:] - box[:2]
    area = max((sides[0] * WIDTH * sides[1] * HEIGHT).item(), least)
    return total / {"box_area": area, "image": HEIGHT * WIDTH, "region_mean": pixels}[normaliser]


@pytest.mark.parametrize("region", ["cropped", "full"])
@pytest.mark.parametrize("normaliser", ["box_area", "region_mean", "image"])
@pytest.mark.parametrize("crop", ["weight", "zero"])
@pytest.mark.parametrize("least", [1.0, 1e-4])
def test_against_loops(region: Any, normaliser: Any, crop: Any, least: float) -> None:
    logits, target, _ = random_case((4, HEIGHT, WIDTH))
    loss = MaskLoss({"bce": Term(losses.Bce(), 1.0, region, normaliser, crop, least)})
    (value,) = loss(logits, target, BOXES)
    arguments = {"region": region, "normaliser": normaliser, "crop": crop, "least": least}
    expected = [naive(*each, **arguments) for each in zip(logits, target, BOXES, strict=True)]
    torch.testing.assert_close(value.raw_N, torch.tensor(expected, dtype=torch.float64))


def test_crop_zero_costs_100_without_gradient() -> None:
    logits, _, _ = random_case((1, HEIGHT, WIDTH))
    logits.requires_grad_()
    target = torch.ones_like(logits)
    (value,) = losses.single(losses.Bce(), crop="zero")(logits, target, BOXES[:1])
    value.raw_N.sum().backward()
    outside = ~box_crop_NHW(BOXES[:1], HEIGHT, WIDTH)
    assert logits.grad is not None
    assert (logits.grad[outside] == 0).all()
    assert (logits.grad[~outside] != 0).all()
    assert value.raw_N.item() * 0.5 * 0.7 * HEIGHT * WIDTH > 100 * outside.sum().item()


def test_region_losses_are_not_renormalised() -> None:
    logits, target, _ = random_case((4, HEIGHT, WIDTH))
    weight = box_crop_NHW(BOXES, HEIGHT, WIDTH).double()
    (value,) = losses.single(losses.Dice())(logits, target, BOXES)
    torch.testing.assert_close(value.raw_N, losses.dice(logits, target, weight))
    per_pixel = losses.Dice(per_pixel=True)
    (value,) = losses.single(per_pixel, min_box_area=0.0)(logits[:2], target[:2], BOXES[:2])
    sums = losses.dice(logits, target, weight, per_pixel=True) * weight.sum(dim=(1, 2))
    areas = torch.tensor([0.5 * 0.7, 1.0]) * HEIGHT * WIDTH
    torch.testing.assert_close(value.raw_N, sums[:2] / areas)


def test_hybrid_is_the_weighted_sum() -> None:
    logits, target, _ = random_case((4, HEIGHT, WIDTH))
    loss = losses.hybrid(
        first=losses.Mse(), second=losses.Bce(), third=losses.Huber(delta=0.5),
        alpha=0.5, beta=2, gamma=Linear(start=1, end=0),
        first_region="full", first_normaliser="image",
    )  # fmt: skip
    values = loss(logits, target, BOXES, progress=0.25)
    assert [(value.name, value.weight) for value in values] == [
        ("mse", 0.5),
        ("bce", 2),
        ("huber", 0.75),
    ]
    torch.testing.assert_close(values[0].raw_N, losses.mse(logits, target))
    (alone,) = losses.single(losses.Bce())(logits, target, BOXES)
    torch.testing.assert_close(values[1].raw_N, alone.raw_N)


def test_two_terms_of_one_loss_keep_two_names() -> None:
    loss = losses.hybrid(first=losses.Huber(delta=0.1), second=losses.Huber(delta=0.5))
    assert loss.names == ["huber", "huber_2"]


def test_schedules() -> None:
    assert Constant(value=0.3)(0.7) == 0.3
    line = Linear(start=1.0, end=0.0, until=0.5)
    assert [line(x) for x in (0, 0.25, 0.5, 1)] == [1, 0.5, 0, 0]
    wave = Cosine(start=0.0, end=2.0)
    assert [wave(x) for x in (0, 0.5, 1)] == pytest.approx([0, 1, 2])
    assert wave(0.25) == pytest.approx(1 - math.cos(math.pi / 4))


def test_learned_weight_finds_the_inverse_of_the_loss() -> None:
    """exp(-s)·L + s is least at s = ln L: the weight becomes 1/L, whatever the loss's scale."""
    loss = losses.hybrid(first=losses.Mse(), second=losses.Bce(), alpha=Learned(), beta=Learned())
    logits, target, _ = random_case((4, HEIGHT, WIDTH))
    optimiser = torch.optim.SGD(loss.parameters(), lr=0.5)
    for _ in range(200):
        optimiser.zero_grad()
        values = loss(logits, target, BOXES)
        torch.stack([(value.weight * value.raw_N).mean() for value in values]).sum().backward()
        optimiser.step()
    assert [value.name for value in values] == ["mse", "mse_uncertainty", "bce", "bce_uncertainty"]
    for term in (0, 2):
        weight = torch.as_tensor(values[term].weight).item()
        assert weight == pytest.approx(1 / values[term].raw_N.mean().item(), rel=1e-3)


def test_learned_weight_gets_a_gradient_without_instances() -> None:
    loss = losses.hybrid(first=losses.Mse(), second=losses.Bce(), alpha=Learned())
    values = loss(torch.zeros(0, 4, 4), torch.zeros(0, 4, 4), torch.zeros(0, 4))
    torch.stack([(value.weight * value.raw_N).sum() for value in values]).sum().backward()
    assert [parameter.grad for parameter in loss.parameters()] == [torch.tensor(0.0)]


def test_learned_weight_refuses_a_loss_that_can_be_negative() -> None:
    with pytest.raises(ValueError, match="weight=Learned on boundary, which can be negative"):
        losses.hybrid(first=losses.Dice(), second=losses.Boundary(), beta=Learned())


def test_survey_code_switches() -> None:
    with pytest.warns(losses.HuberIsHalfMse):
        loss = losses.hybrid(
            first=losses.Huber(delta=0.2), second=losses.Huber(delta=0.2), huber_delta_ignored=True
        )
    first, second = loss.terms
    assert first.loss.arguments == {"delta": 1.0}
    assert second.loss.arguments == {"delta": 0.2}
    broken = losses.single(losses.Mse(), mse_trains_bce=True)
    logits, target, _ = random_case((1, 4, 4))
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    (value,) = broken(logits, target, box)
    assert value.name == "mse"
    torch.testing.assert_close(value.raw_N, losses.bce(logits, target))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"region": "box"}, "region='box', must be one of cropped, full"),
        ({"normaliser": "sum"}, "normaliser='sum', must be one of box_area, region_mean, image"),
        ({"crop": "no"}, "crop='no', must be one of weight, zero"),
        ({"min_box_area": -1.0}, "min_box_area=-1.0, must be a number >= 0"),
        ({"weight": math.nan}, "weight=nan, must be a finite number"),
        ({"weight": "x"}, "weight='x', must be a number, a schedule or Learned"),
    ],
)
def test_bad_terms(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Term(losses.Bce(), **arguments)


def test_bad_composition() -> None:
    with pytest.raises(ValueError, match="terms is empty"):
        MaskLoss({})
    with pytest.raises(ValueError, match=r"a term is the hybrid \['bce'\]"):
        losses.hybrid(first=losses.single(losses.Bce()), second=losses.Mse())
    with pytest.raises(ValueError, match=r"boxes of shape \(3, 4\), must be \(2, 4\)"):
        losses.single(losses.Bce())(torch.zeros(2, 4, 4), torch.zeros(2, 4, 4), torch.zeros(3, 4))


def test_a_plain_function_is_a_loss() -> None:
    logits, target, _ = random_case((4, HEIGHT, WIDTH))
    (value,) = losses.single(losses.bce)(logits, target, BOXES)
    (same,) = losses.single(losses.Bce())(logits, target, BOXES)
    assert value.name == "bce"
    torch.testing.assert_close(value.raw_N, same.raw_N)


def test_bfloat16_scores() -> None:
    logits, target, _ = random_case((4, HEIGHT, WIDTH))
    (value,) = losses.single(losses.Bce())(logits.bfloat16(), target.float(), BOXES.float())
    assert value.raw_N.dtype == torch.float32
    pixels = F.binary_cross_entropy_with_logits(
        logits.bfloat16().float(), target.float(), reduction="none"
    )
    weight = box_crop_NHW(BOXES.float(), HEIGHT, WIDTH)
    areas = (BOXES[:, 2:] - BOXES[:, :2]).prod(dim=1).float() * HEIGHT * WIDTH
    expected = (pixels * weight).sum(dim=(1, 2)) / areas.clamp(min=1)
    torch.testing.assert_close(value.raw_N, expected)
