"""Values worked by hand for p = [[1, .5], [0, .25]], t = [[1, 1], [0, 0]]."""

import math
from typing import Any

import pytest
import torch

import losses
from losses.log_cosh import log_cosh_of
from tests.losses.cases import FUNCTIONS, logits_of

PROBS = torch.tensor([[[1.0, 0.5], [0.0, 0.25]]], dtype=torch.float64)
TARGET = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]], dtype=torch.float64)
LN2, LN43 = math.log(2), math.log(4 / 3)

# I = 1.5, P = 1.75, T = 2; the BCE of the four pixels is 0, ln 2, 0, ln 4/3.
WORKED: dict[str, tuple[dict[str, Any], float]] = {
    "bce": ({}, (LN2 + LN43) / 4),
    "weighted_bce": ({"positive_weight": 3.0}, (3 * LN2 + LN43) / 4),
    "balanced_bce": ({}, (0.5 * LN2 + 0.5 * LN43) / 4),
    "border_bce": (
        {"w0": 10.0, "sigma": 5.0},
        (LN2 + LN43) * (1 + 10 * math.exp(-1 / 50)) / 4,
    ),
    "log_cosh_bce": ({}, (math.log(math.cosh(LN2)) + math.log(math.cosh(LN43))) / 4),
    "focal": ({}, (0.25 * 0.25 * LN2 + 0.75 * 0.0625 * LN43) / 4),
    "poly1": ({}, (LN2 + LN43 + 0.5 + 0.25) / 4),
    "topk_bce": ({"k": 50.0}, (LN2 + LN43) / 2),
    "mse": ({}, 0.078125),
    "mae": ({}, 0.1875),
    "huber": ({"delta": 0.25}, 0.03125),
    "log_cosh": ({}, (math.log(math.cosh(0.5)) + math.log(math.cosh(0.25))) / 4),
    "dice": ({}, 0.2),
    "dice_squared": ({}, 1 - 3 / 3.3125),
    # Both regions have 2 pixels: equal weights; the background's I, P, T are 1.75, 2.25, 2.
    "generalised_dice": ({}, 1 - 2 * (1.5 + 1.75) / (3.75 + 4.25)),
    "log_cosh_dice": ({}, math.log(math.cosh(1 - 3 / 3.3125))),
    "jaccard": ({}, 1 / 3),
    "tversky": ({"fp_weight": 0.3, "fn_weight": 0.7}, 1 - 1.5 / 1.925),
    "focal_tversky": ({}, (1 - 1.5 / 1.925) ** 0.75),
    # The mask is one pixel thick: its border is itself.
    "boundary_iou": ({}, 1 / 3),
    # φ is 0 on the mask's two pixels (they touch the edge) and 1 on the two others.
    "boundary": ({}, 0.25 / 4),
    # Every d_t is 1; predicted is the pixel of p = 1, from which d_p is 1, 1, 1 and √2.
    "hausdorff_dt": ({}, (0.25 * (1 + 1) + 0.0625 * (2 + 1)) / 4),
    "combo": ({"alpha": 0.5}, 0.5 * (LN2 + LN43) / 4 + 0.1),
    "log_cosh_bce_dice": ({}, math.log(math.cosh((LN2 + LN43) / 4 + 0.2))),
    "unified_focal": (
        {},
        0.5 * (0.6 * math.sqrt(0.5) * LN2 + 0.4 * math.sqrt(0.25) * LN43) / 4
        + 0.5 * math.sqrt(1 - 1.5 / (1.5 + 0.4 * 0.25 + 0.6 * 0.5)),
    ),
}


@pytest.mark.parametrize("name", WORKED)
def test_worked_value(name: str) -> None:
    arguments, expected = WORKED[name]
    logits = logits_of(PROBS)
    if name == "hausdorff_dt":
        logits[0, 0, 1] -= 1e-6  # p = ½ is on neither side
    value = FUNCTIONS[name](logits, TARGET, **arguments)
    assert value.shape == (1,)
    assert value.item() == pytest.approx(expected, abs=2e-6)


def test_values_of_the_page() -> None:
    logits = logits_of(PROBS)
    page = {
        0.2: losses.dice(logits, TARGET),
        0.0943: losses.dice_squared(logits, TARGET),
        0.3333: losses.jaccard(logits, TARGET),
        0.2208: losses.tversky(logits, TARGET, fp_weight=0.3, fn_weight=0.7),
        0.078125: losses.mse(logits, TARGET),
        0.1875: losses.mae(logits, TARGET),
        0.03125: losses.huber(logits, TARGET, delta=0.25),
        0.2452: losses.bce(logits, TARGET),
        0.019868: losses.log_cosh_dice(logits, TARGET, squared=False),
    }
    for expected, value in page.items():
        assert value.item() == pytest.approx(expected, abs=5e-5)


def test_label_smoothing_and_lovasz() -> None:
    """Their own inputs: the one cannot stand certainty, the other lives on logits."""
    logits = torch.tensor([[[0.0, 2.0]]], dtype=torch.float64)
    target = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    smoothed = losses.label_smoothing_bce(logits, target, smoothing=0.2)
    softplus2 = math.log1p(math.exp(2))
    assert smoothed.item() == pytest.approx((LN2 + softplus2 - 2 * 0.1) / 2)
    # Errors 3 (background) and 1 (mask): first Jaccard error 1 − 1/2, then 1.
    assert losses.lovasz_hinge(logits, target).item() == pytest.approx(3 * 0.5 + 1 * 0.5)


def test_every_loss_has_a_worked_value() -> None:
    elsewhere = {"label_smoothing_bce", "lovasz_hinge"}
    assert set(FUNCTIONS) == set(WORKED) | elsewhere


def test_per_pixel_dice_is_the_forks() -> None:
    logits = logits_of(PROBS)
    elements = [0.0, 1 - 1.1 / 1.6, 0.0, 1 - 0.1 / 0.35]
    value = losses.dice(logits, TARGET, per_pixel=True)
    assert value.item() == pytest.approx(sum(elements) / 4)
    damped = losses.log_cosh_dice(logits, TARGET, per_pixel=True, naive=True)
    assert damped.item() == pytest.approx(sum(math.log(math.cosh(e)) for e in elements) / 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_cosh_keeps_its_digits(dtype: torch.dtype) -> None:
    x = torch.tensor([-1e4, -20, -1.5, -1e-3, 0, 1e-8, 1e-4, 0.3, 1, 5, 88, 1e4], dtype=dtype)
    x.requires_grad_()
    value = log_cosh_of(x)
    value.sum().backward()
    exact = x.detach().double().abs()
    near = torch.log1p(torch.sinh(exact.clamp(max=1)) ** 2) / 2
    far = exact + torch.log1p(torch.exp(-2 * exact)) - LN2
    expected = torch.where(exact < 1, near, far)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(value.double(), expected, rtol=tolerance, atol=0)
    torch.testing.assert_close(x.grad, torch.tanh(x.detach()), rtol=tolerance, atol=0)


def test_naive_log_cosh_overflows_as_the_fork_does() -> None:
    logits = torch.full((1, 1, 1), -100.0)
    target = torch.ones(1, 1, 1)
    assert losses.log_cosh_bce(logits, target, naive=True).isinf().all()
    assert losses.log_cosh_bce(logits, target).item() == pytest.approx(100 - LN2)
