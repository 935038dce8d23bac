"""Errors that name the argument, its value and the mend; the one warning."""

import warnings
from typing import Any

import pytest
import torch

import losses
from losses import LossModule
from tests.losses.cases import FUNCTIONS

GOOD = torch.zeros(2, 4, 4)
EVERY = pytest.mark.parametrize("name", FUNCTIONS)


@EVERY
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((GOOD, GOOD[:1]), ValueError, r"target has shape \(1, 4, 4\) but logits \(2, 4, 4\)"),
        ((GOOD, GOOD, GOOD[:, :2]), ValueError, r"weight has shape \(2, 2, 4\)"),
        ((GOOD[0], GOOD[0]), ValueError, r"logits of shape \(4, 4\), must be \[N, H, W\]"),
        ((GOOD[:, :0], GOOD[:, :0]), ValueError, r"\(2, 0, 4\), must be .* at least 1"),
        ((GOOD, GOOD + 255), ValueError, r"target spans \[255, 255\].*divide masks of 0 and 255"),
        ((GOOD, GOOD - 1), ValueError, r"target spans \[-1, -1\], must lie in \[0, 1\]"),
        ((GOOD, GOOD * torch.nan), ValueError, "target spans"),
        ((GOOD * torch.nan, GOOD), ValueError, "logits hold NaN"),
        ((GOOD, GOOD, GOOD - 1), ValueError, "weight has minimum -1, must be >= 0"),
        ((GOOD, GOOD.long()), TypeError, r"target is torch.int64, must be floating.*\.float\(\)"),
        ((GOOD.int(), GOOD), TypeError, "logits is torch.int32"),
        ((GOOD, GOOD, GOOD.bool()), TypeError, "weight is torch.bool"),
    ],
)
def test_inputs(
    name: str, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"{name}: .*{message}"):
        FUNCTIONS[name](*arguments)


@pytest.mark.parametrize(
    ("loss", "arguments", "message"),
    [
        ("Focal", {"gamma": -1}, r"focal: gamma=-1, must be a number in \[0, ∞\)"),
        ("Focal", {"alpha": 1.5}, r"alpha=1.5, must be a number in \[0, 1\], or none"),
        ("Focal", {"gamma": "2"}, "gamma='2', must be a number"),
        ("Focal", {"gamma": True}, "gamma=True, must be a number"),
        ("Focal", {"gamma": float("nan")}, "gamma=nan"),
        ("Focal", {"gamma": None}, "gamma=None"),
        ("Huber", {"delta": 0}, r"huber: delta=0, must be a number in \(0, ∞\)"),
        ("WeightedBce", {"positive_weight": 0.0}, "positive_weight=0.0"),
        ("LabelSmoothingBce", {"smoothing": 1.0}, r"smoothing=1.0, must be a number in \[0, 1\)"),
        ("Poly1", {"epsilon": -1.5}, r"epsilon=-1.5, must be a number in \[-1, ∞\)"),
        ("TopkBce", {"k": 101}, r"k=101, must be a number in \(0, 100\]"),
        ("Dice", {"smooth": -1e-6}, "smooth=-1e-06"),
        ("Dice", {"per_pixel": 1}, "per_pixel=1, must be true or false"),
        ("SmoothL1", {"beta": 0.0}, "smooth_l1: beta=0.0"),
        ("Ohem", {"negatives_per_positive": -3}, "ohem: negatives_per_positive=-3"),
        ("SoftmaxFocal", {"alpha": 2}, "softmax_focal: alpha=2"),
        ("SoftObjectness", {"score": 3}, "score=3, must be 1 or 2"),
        ("SoftObjectness", {"loss": 0}, "loss=0, must be 1, 2 or 3"),
        ("SoftObjectness", {"power": 3}, "power=3, must be an even number"),
        ("Linear", {"start": 0, "end": 1, "until": 0}, r"until=0, must be a number in \(0, 1\]"),
        ("Constant", {"value": float("inf")}, "value=inf"),
        ("Learned", {"initial": 0}, "initial=0"),
    ],
)
def test_parameters_out_of_range(loss: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(losses, loss)(**arguments)


def test_unknown_parameter_names_the_good_ones() -> None:
    with pytest.raises(TypeError, match=r"focal: unknown argument gama=2.*gamma, alpha"):
        losses.Focal(gama=2)
    with pytest.raises(TypeError, match=r"bce: unknown argument delta=1"):
        losses.Bce(delta=1)


def test_functions_check_parameters_too() -> None:
    with pytest.raises(ValueError, match="huber: delta=-1"):
        losses.huber(GOOD, GOOD, delta=-1)


def test_parameters_are_keyword_only() -> None:
    for made in vars(losses).values():
        if isinstance(made, type) and issubclass(made, LossModule):
            with pytest.raises(TypeError):
                made(0.5)  # type: ignore[misc]


@pytest.mark.parametrize("delta", [1, 1.5, 2, 3.0])
def test_huber_warns_once_that_it_is_half_mse(delta: float) -> None:
    with pytest.warns(losses.HuberIsHalfMse, match=rf"delta={delta:g} .* exactly mse/2") as caught:
        loss = losses.Huber(delta=delta)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(GOOD, GOOD)


def test_huber_below_one_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses.Huber(delta=0.99)
