"""Network, criterion and SGD together, against the reference's training steps."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.golden import load_json, load_npz, rule_x
from tests.yolactpp.criterion.cases import NAMES, criterion_of, total
from tests.yolactpp.model.networks import CONFIG_OF, fill_by_rule_p, make_network
from yolactpp.model.network import YolactppNetwork
from yolactpp.model.original_names import from_original
from yolactpp.structures import Targets

RUNS = load_json("train_steps.json")
# The reference's own bounds: with live batch norm a disturbance of 1e-6 grows to 3 % in two steps.
FROZEN = (1e-4, 1e-4, 1e-3)
LIVE = (1e-3, 1e-2, 1.0)


def golden_targets(batch: int) -> tuple[Targets, Tensor]:
    arrays = load_npz("train_steps_gt.npz")
    boxes, labels, masks = [], [], []
    for image in range(batch):
        rows = torch.from_numpy(arrays[f"gt{image}"])
        boxes.append(rows[:, :4])
        labels.append(rows[:, 4].long())
        shape = tuple(arrays[f"masks{image}_shape"])
        bits = np.unpackbits(arrays[f"masks{image}_packed"], count=int(np.prod(shape)))
        masks.append(torch.from_numpy(bits.reshape(shape)))
    first_values = torch.from_numpy(arrays["image_first_values"])
    return Targets.from_images(boxes, labels, masks), first_values


def start(run: dict[str, Any]) -> tuple[YolactppNetwork, Tensor, Targets]:
    size, batch = run["size"], run["B"]
    network = fill_by_rule_p(make_network(CONFIG_OF[run["config"]], run["num_classes"], size))
    images = rule_x(run["image_seed"], (batch, 3, size, size))
    targets, first_values = golden_targets(batch)
    assert torch.equal(images.flatten()[: len(first_values)], first_values)
    network.train()
    if run["freeze_bn"]:
        network.freeze_batch_norm()
    return network, images, targets


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_golden_train_steps(name):
    run = RUNS[name]
    network, images, targets = start(run)
    criterion = criterion_of("yolact")
    trained = [value for value in network.parameters() if value.requires_grad]
    optimiser = torch.optim.SGD(
        trained, run["lr"], momentum=run["momentum"], weight_decay=run["weight_decay"]
    )
    bounds = FROZEN if run["freeze_bn"] else LIVE
    for index, expected in enumerate(run["steps"]):
        bound = bounds[min(index, len(bounds) - 1)]
        values = criterion(network(images), targets, network.mask_iou)
        summed = total(values)
        for key, value in expected["losses"].items():
            assert values[NAMES[key]].item() == pytest.approx(value, rel=bound), (index, key)
        assert summed.item() == pytest.approx(expected["total"], rel=bound), index
        optimiser.zero_grad()
        summed.backward()
        assert_gradients(network, expected, bound)
        optimiser.step()
    state = network.state_dict()
    for key, expected in run["param_after"].items():
        value = state[from_original(key)].double()
        assert value.abs().sum().item() == pytest.approx(expected["abs_sum"], rel=bounds[-1]), key


def assert_gradients(network: YolactppNetwork, expected: dict[str, Any], bound: float) -> None:
    """Norms of the gradients, where the step states them; every trained parameter has one."""
    gradients = {
        key: value.grad for key, value in network.named_parameters() if value.requires_grad
    }
    assert all(gradient is not None for gradient in gradients.values())
    if "grad_norm_total" not in expected:
        return
    assert len(gradients) == expected["num_params_with_grad"]
    norm = torch.stack([g.double().square().sum() for g in gradients.values()]).sum().sqrt()
    assert norm.item() == pytest.approx(expected["grad_norm_total"], rel=bound)
    for key, value in expected["grad_norm_some"].items():
        ours = gradients[from_original(key)].double().norm().item()
        assert ours == pytest.approx(value, rel=10 * bound, abs=1e-9), key
