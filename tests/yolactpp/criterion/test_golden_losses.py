"""All losses of the reference, single and double, with their gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.golden import load_json
from tests.yolactpp.criterion.cases import NAMES, criterion_of, load_case, total
from yolactpp.criterion.matching import match

EXPECTED = load_json("loss_expected.json")
# Where the fork breaks (an exception, or a mask loss that is no scalar) there is nothing to equal.
VARIANTS = [
    (case, variant)
    for case, content in EXPECTED.items()
    for variant, expected in content["variants"].items()
    if expected.get("losses") and not expected.get("non_scalar_shapes")
]


def losses_of(case: str, variant: str, static_shapes: bool = False):
    """Losses of a case under the fork's protocol, backpropagated."""
    expected = EXPECTED[case]["variants"][variant]
    loaded = load_case(case)
    criterion = criterion_of("survey_code", expected["overrides"], static_shapes)
    if "torch_manual_seed" in expected:
        torch.manual_seed(expected["torch_manual_seed"])
    values = criterion(loaded.outputs, loaded.targets, loaded.net)
    return loaded, values, expected


def assert_gradient(ours: Tensor, expected: dict[str, Any], name: str) -> None:
    flat = ours.flatten().double()
    assert float(flat.abs().sum()) == pytest.approx(expected["abs_sum"], rel=1e-4, abs=1e-12), name
    values = torch.tensor(expected["val"], dtype=torch.float64)
    error = (flat[expected["idx"]] - values).abs().max()
    assert error <= 1e-3 * values.abs().max() + 1e-12, name


@pytest.mark.parametrize(("case", "variant"), VARIANTS)
def test_golden_losses(case, variant):
    loaded, values, expected = losses_of(case, variant)
    for name, value in expected["losses"].items():
        assert values[NAMES[name]].item() == pytest.approx(value, rel=2e-5), name
    summed = total(values)
    assert summed.item() == pytest.approx(expected["total"], rel=2e-5)
    summed.backward()
    for key, gradient in expected["grads"].items():
        assert_gradient(loaded.gradient(key), gradient, key)


@pytest.mark.parametrize("case", EXPECTED)
def test_golden_losses_with_static_shapes(case):
    loaded, values, expected = losses_of(case, "bce", static_shapes=True)
    total(values).backward()
    for name, value in expected["losses"].items():
        assert values[NAMES[name]].item() == pytest.approx(value, rel=2e-5), name
    for key, gradient in expected["grads"].items():
        assert_gradient(loaded.gradient(key), gradient, key)


@pytest.mark.parametrize("case", EXPECTED)
def test_golden_gradient_of_each_loss(case):
    """Which loss reaches which output: the mask-IoU loss reaches coefficients and prototypes."""
    loaded, values, expected = losses_of(case, "bce")
    for name, sums in expected["abs_grad_sum_of_each_loss"].items():
        gradients = torch.autograd.grad(
            values[NAMES[name]],
            list(loaded.inputs.values()),
            retain_graph=True,
            allow_unused=True,
        )
        for key, gradient in zip(loaded.inputs, gradients, strict=True):
            ours = 0.0 if gradient is None else float(gradient.double().abs().sum())
            assert ours == pytest.approx(sums[key], rel=1e-4, abs=1e-12), (name, key)


@pytest.mark.parametrize("case", EXPECTED)
def test_golden_matches_of_the_loss_cases(case):
    loaded = load_case(case)
    matches = match(loaded.outputs.priors_P4, loaded.targets)
    for image in range(len(loaded.targets.labels_BM)):
        expected = torch.from_numpy(loaded.arrays[f"conf_t{image}"])
        assert torch.equal(matches.class_target_BP[image], expected)
        expected = torch.from_numpy(loaded.arrays[f"idx_t{image}"])
        assert torch.equal(matches.object_BP[image], expected)
    assert matches.is_positive_BP.sum(1).tolist() == EXPECTED[case]["num_pos"]
    assert (matches.class_target_BP < 0).sum(1).tolist() == EXPECTED[case]["num_neutral"]
