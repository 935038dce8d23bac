"""Losses of seeded steps with each of the runtime's options, beside those of plain float32."""

import pytest
import torch

from benchmarks.criterion import random_targets
from benchmarks.models import build_model
from benchmarks.training_step import step_of

STEPS = 4
# At 64 px a pyramid level is one pixel, whose bf16 weight gradient oneDNN leaves undefined.
SIDE = 128
# Relative, of the total loss at every step. Options that only change the order of additions part
# slowly; bfloat16 has 8 bits.
TOLERANCE = {"fused_sgd": 1e-4, "channels_last": 1e-3, "bf16": 5e-2, "compile": 1e-3}


def totals(device: str, *options: str) -> list[float]:
    torch.manual_seed(0)
    model = build_model("yolactpp_tiny", SIDE, 2).to(device)
    images = torch.randn(2, 3, SIDE, SIDE)
    targets = random_targets(2, 1, 3, size=SIDE, classes=3)
    step = step_of(model, images.to(device), targets.to(device), list(options))
    found = []
    for iteration in range(STEPS):
        torch.manual_seed(iteration)
        found.append(step().losses["total"])
    return found


@pytest.fixture(scope="module")
def plain_totals() -> list[float]:
    return totals("cpu")


@pytest.mark.parametrize("option", ["fused_sgd", "channels_last", "bf16"])
def test_losses_stay_near_those_of_float32(option: str, plain_totals: list[float]) -> None:
    assert totals("cpu", option) == pytest.approx(plain_totals, rel=TOLERANCE[option])


@pytest.mark.slow
def test_compiled_losses_stay_near_those_of_float32(plain_totals: list[float]) -> None:
    assert totals("cpu", "compile") == pytest.approx(plain_totals, rel=TOLERANCE["compile"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("option", list(TOLERANCE))
def test_losses_on_a_gpu_stay_near_those_of_float32(option: str) -> None:
    expected = totals("cuda")
    assert totals("cuda", option) == pytest.approx(expected, rel=TOLERANCE[option])
