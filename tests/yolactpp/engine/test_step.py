import math

import pytest
import torch
from torch import Tensor, nn

from tests.yolactpp.engine.toys import CPU, toy_batch
from yolactpp.engine.batches import split_batch
from yolactpp.engine.distributed import World
from yolactpp.engine.failures import NonFiniteError
from yolactpp.engine.precision import Precision
from yolactpp.engine.step import OptimizerStep
from yolactpp.structures import Targets


class Mean(nn.Module):
    """Its loss is linear in the images, so that gradients can be worked by hand."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.factor = factor

    def forward(
        self, images_B3HW: Tensor, _targets: Targets, _progress: float
    ) -> dict[str, Tensor]:
        value = self.factor * (images_B3HW.mean((2, 3)) * self.weight).sum(1).mean()
        return {"mask": value, "mask/raw": 5 * value.detach()}


def step_of(model: nn.Module, **settings: float) -> OptimizerStep:
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return OptimizerStep(model, optimizer, Precision("fp32", CPU), World(), **settings)


def test_one_step_worked_by_hand() -> None:
    model = Mean()
    batch = toy_batch(0)
    gradient_3 = batch[0].mean((0, 2, 3))
    result = step_of(model)(batch, 0, 0.0)
    assert torch.allclose(model.weight, 1 - gradient_3)
    assert result.grad_norm == pytest.approx(float(gradient_3.norm()))
    assert result.losses["total"] == pytest.approx(float(gradient_3.sum()))
    assert result.losses["mask/raw"] == pytest.approx(5 * float(gradient_3.sum()))
    assert not result.stop_requested


def test_accumulation_gives_the_whole_batch_s_step() -> None:
    whole, parts = Mean(), Mean()
    first = step_of(whole)(toy_batch(3), 0, 0.0)
    second = step_of(parts, accumulate=2)(toy_batch(3), 0, 0.0)
    assert torch.allclose(whole.weight, parts.weight)
    assert first.losses == pytest.approx(second.losses)


def test_clipping_shortens_the_gradient_but_not_the_log() -> None:
    model = Mean(factor=100)
    result = step_of(model, gradient_clip=0.5)(toy_batch(1), 0, 0.0)
    assert result.grad_norm > 10
    assert float((1 - model.weight).detach().norm()) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("factor", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_changes_no_weight(factor: float) -> None:
    model = Mean(factor=factor)
    with pytest.raises(NonFiniteError, match="mask is not finite at iteration 12"):
        step_of(model)(toy_batch(1), 12, 0.0)
    assert torch.equal(model.weight, torch.ones(3))


class RootOfZero(nn.Module):
    """A finite loss whose gradient is infinite."""

    def __init__(self) -> None:
        super().__init__()
        self.good = nn.Parameter(torch.ones(1))
        self.bad = nn.Parameter(torch.zeros(1))

    def forward(self, *_batch: object) -> dict[str, Tensor]:
        return {"box": self.good.sum() + self.bad.sqrt().sum()}


def test_a_gradient_that_is_not_finite_names_its_parameter() -> None:
    model = RootOfZero()
    with pytest.raises(NonFiniteError, match="gradient of bad is not finite at iteration 2"):
        step_of(model)(toy_batch(1), 2, 0.0)
    assert torch.equal(model.good, torch.ones(1))


def test_fp16_leaves_an_overflowing_step_out_and_goes_on() -> None:
    model = RootOfZero()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    precision = Precision("fp16", CPU)
    step = OptimizerStep(model, optimizer, precision, World())
    scale = precision.scaler.get_scale()
    result = step(toy_batch(0), 0, 0.0)
    assert not math.isfinite(result.grad_norm)
    assert torch.equal(model.good, torch.ones(1))
    assert precision.scaler.get_scale() == scale / 2
    other = Precision("fp16", CPU)
    other.load_state_dict(precision.state_dict())
    assert other.scaler.get_scale() == scale / 2


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_low_precision_runs_the_model_in_it(name: str) -> None:
    seen = []

    class Linear(Mean):
        def forward(
            self, images_B3HW: Tensor, _targets: Targets, _progress: float
        ) -> dict[str, Tensor]:
            product = images_B3HW.mean((2, 3)) @ self.weight[:, None]
            seen.append(product.dtype)
            return {"mask": product.float().mean()}

    model = Linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    OptimizerStep(model, optimizer, Precision(name, CPU), World())(toy_batch(0), 0, 0.0)
    assert seen == [{"bf16": torch.bfloat16, "fp16": torch.float16}[name]]
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, torch.ones(3))


def test_a_wish_to_stop_is_passed_on() -> None:
    assert step_of(Mean())(toy_batch(0), 0, 0.0, stop_requested=True).stop_requested


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"accumulate": 0}, "accumulate=0"), ({"gradient_clip": 0.0}, "gradient_clip=0.0")],
)
def test_values_out_of_range_are_named(settings: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        step_of(Mean(), **settings)


def test_an_unknown_precision_lists_the_good_ones() -> None:
    with pytest.raises(ValueError, match="precision=fp8: choose one of fp32, bf16, fp16"):
        Precision("fp8", CPU)


def test_parts_of_a_batch_keep_their_masks() -> None:
    counts = [2, 0, 3, 1]
    boxes = [torch.full((n, 4), float(i)) for i, n in enumerate(counts)]
    labels = [torch.full((n,), i) for i, n in enumerate(counts)]
    masks = [torch.full((n, 2, 2), i, dtype=torch.uint8) for i, n in enumerate(counts)]
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, 2, 2)
    first, second = split_batch((images, Targets.from_images(boxes, labels, masks)), 2)
    assert first[0][:, 0, 0, 0].tolist() == [0, 1]
    assert first[1].masks_GHW[:, 0, 0].tolist() == [0, 0]
    assert second[0][:, 0, 0, 0].tolist() == [2, 3]
    assert second[1].masks_GHW[:, 0, 0].tolist() == [2, 2, 2, 3]
    assert second[1].mask_offsets_B.tolist() == [0, 3]
    assert second[1].labels_BM[1, 0] == 3


def test_unequal_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="accumulate=3 does not divide 4 images"):
        split_batch(toy_batch(0), 3)
