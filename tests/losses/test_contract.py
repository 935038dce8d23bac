"""What every mask loss owes: finite at extremes, weights, precision, empty batches, gradients."""

import pytest
import torch

from losses import Huber, LossModule, check_values
from tests.losses.cases import FUNCTIONS, NEEDS_EDGE, PIXEL, REGION, logits_of, random_case, square

EXTREMES = [0.0, 17, -17, 30, -30, 100, -100, 1e4, -1e4]
EVERY = pytest.mark.parametrize("name", FUNCTIONS)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_at_extremes(name: str, dtype: torch.dtype) -> None:
    _, soft, weight = random_case((1, 5, 6), soft=True)
    kinds = torch.cat([soft, (soft > 0.5).double(), torch.zeros_like(soft), torch.ones_like(soft)])
    target = kinds.repeat(len(EXTREMES), 1, 1).to(dtype)
    levels = torch.tensor(EXTREMES, dtype=dtype).repeat_interleave(len(kinds))
    for each in (None, weight.to(dtype).expand_as(target), torch.zeros_like(target)):
        logits = levels[:, None, None].expand_as(target).clone().requires_grad_()
        value = FUNCTIONS[name](logits, target, each)
        value.sum().backward()
        assert value.isfinite().all(), levels[~value.isfinite()]
        assert logits.grad is not None
        assert logits.grad.isfinite().all(), levels[~logits.grad.isfinite().all(dim=(1, 2))]


@EVERY
@pytest.mark.parametrize("soft", [False, True])
def test_gradcheck(name: str, soft: bool) -> None:
    logits, target, weight = random_case((2, 4, 4), soft=soft)
    logits.requires_grad_()
    each = weight if soft else None
    assert torch.autograd.gradcheck(lambda z: FUNCTIONS[name](z, target, each), logits)


@EVERY
def test_weight_zero_has_no_gradient_and_no_say(name: str) -> None:
    logits, target, weight = random_case((3, 8, 9))
    logits.requires_grad_()
    value = FUNCTIONS[name](logits, target, weight)
    value.sum().backward()
    assert logits.grad is not None
    assert (logits.grad[weight == 0] == 0).all()
    if name != "hausdorff_dt":  # its predicted edge may lie outside the region
        other = torch.where(weight == 0, -logits.detach(), logits.detach())
        torch.testing.assert_close(FUNCTIONS[name](other, target, weight), value.detach())


@EVERY
def test_batch_equals_singles_and_groups(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, target, weight = random_case((5, 6, 7))
    whole = FUNCTIONS[name](logits, target, weight)
    singles = [
        FUNCTIONS[name](logits[i : i + 1], target[i : i + 1], weight[i : i + 1]) for i in range(5)
    ]
    torch.testing.assert_close(whole, torch.cat(singles))
    monkeypatch.setattr("losses.instances.CPU_GROUP", 2 * 6 * 7)
    torch.testing.assert_close(FUNCTIONS[name](logits, target, weight), whole)


@EVERY
def test_no_instances_backpropagate(name: str) -> None:
    logits = torch.zeros(0, 6, 7, requires_grad=True)
    value = FUNCTIONS[name](logits, torch.zeros(0, 6, 7))
    assert value.shape == (0,)
    value.sum().backward()
    assert logits.grad is not None


@EVERY
def test_one_pixel(name: str) -> None:
    right = FUNCTIONS[name](torch.full((1, 1, 1), 9.0), torch.ones(1, 1, 1))
    wrong = FUNCTIONS[name](torch.full((1, 1, 1), -9.0), torch.ones(1, 1, 1))
    if name in NEEDS_EDGE:
        assert right.item() == wrong.item() == 0
    else:
        assert 0 <= right.item() < wrong.item()


@EVERY
def test_half_precision_is_computed_in_float32(name: str) -> None:
    logits, target, weight = random_case((2, 8, 8))
    short = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = FUNCTIONS[name](short, target.bfloat16(), weight.bfloat16())
    assert value.dtype == torch.float32
    expected = FUNCTIONS[name](short.float(), target.float(), weight.float())
    torch.testing.assert_close(value, expected)
    assert FUNCTIONS[name](logits, target).dtype == torch.float64


@EVERY
def test_without_gradients_the_value_is_the_same(name: str) -> None:
    logits, target, weight = random_case((3, 8, 8))
    value = FUNCTIONS[name](logits.clone().requires_grad_(), target, weight).detach()
    with torch.inference_mode():
        torch.testing.assert_close(FUNCTIONS[name](logits, target, weight), value)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - NEEDS_EDGE))
def test_perfect_is_least_and_inverted_most(name: str) -> None:
    target = square(4, 11)[None]
    probs = torch.stack([target[0], square(5, 11), square(2, 5), 1 - target[0]])
    values = FUNCTIONS[name](logits_of(probs).clamp(-30, 30), target.expand(4, -1, -1))
    assert values.argmin() == 0
    torch.testing.assert_close(values[-1], values.max())


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"boundary"}))
def test_monotone_in_one_wrong_pixel(name: str) -> None:
    """A background pixel that rises to a mask pixel's certainty never lowers the loss."""
    target = square(3, 9, 12).expand(9, -1, -1)
    # From -3 on: label smoothing wants no more certainty than its ln(0.025/0.975) = -3.7.
    logits = (target * 6 - 3).clone()
    logits[:, 1, 1] = torch.linspace(-3, -0.1, 9, dtype=torch.float64)
    rises = FUNCTIONS[name](logits, target).diff()
    assert (rises >= -1e-12).all()
    assert rises.sum() > 0 or name == "topk_bce"


@pytest.mark.parametrize("name", sorted(set(REGION) - NEEDS_EDGE))
def test_background_padding_leaves_region_losses(name: str) -> None:
    if name in ("combo", "log_cosh_bce_dice", "unified_focal", "generalised_dice"):
        pytest.skip("holds a mean over pixels, or scores the background too")
    logits, target, _ = random_case((2, 10, 10))
    arguments = {"dilation_ratio": 0.05} if name == "boundary_iou" else {}
    padded = torch.nn.functional.pad(logits, (0, 2, 2, 0), value=-100)
    same = torch.nn.functional.pad(target, (0, 2, 2, 0))
    torch.testing.assert_close(
        FUNCTIONS[name](padded, same, **arguments), FUNCTIONS[name](logits, target, **arguments)
    )


@pytest.mark.parametrize("name", PIXEL)
def test_gradients_of_a_used_module(name: str) -> None:
    """The Module is the function with its arguments bound."""
    module = next(
        each
        for each in vars(__import__("losses")).values()
        if isinstance(each, type)
        and issubclass(each, LossModule)
        and getattr(each, "function", None) is FUNCTIONS[name]
    )
    logits, target, weight = random_case((2, 5, 5))
    made = module(delta=0.5) if module is Huber else module()
    arguments = {"delta": 0.5} if module is Huber else {}
    torch.testing.assert_close(
        made(logits, target, weight), FUNCTIONS[name](logits, target, weight, **arguments)
    )
    assert made.name == name


def test_target_gets_no_gradient_and_backward_scales() -> None:
    logits, target, _ = random_case((3, 4, 4))
    logits.requires_grad_()
    target.requires_grad_()
    FUNCTIONS["focal"](logits, target).mul(torch.tensor([1.0, 2.0, 0.0])).sum().backward()
    assert target.grad is None
    scaled = logits.grad
    logits.grad = None
    FUNCTIONS["focal"](logits, target).sum().backward()
    assert scaled is not None
    assert logits.grad is not None
    torch.testing.assert_close(scaled, logits.grad * torch.tensor([1.0, 2.0, 0.0])[:, None, None])


@EVERY
@pytest.mark.parametrize("weighted", [False, True])
def test_one_logit_that_is_not_a_number_shows_in_its_instance(name: str, weighted: bool) -> None:
    logits, target, weight = random_case((3, 8, 9))
    logits[1, 4, 4] = torch.nan
    weight[1, 4, 4] = 1
    region = weight if weighted else None
    with check_values(False):
        value = FUNCTIONS[name](logits, target, region)
    assert value.isnan().tolist() == [False, True, False]
    with pytest.raises(ValueError, match="logits hold NaN"):
        FUNCTIONS[name](logits, target, region)
