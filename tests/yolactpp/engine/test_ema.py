import pytest
import torch
from torch import nn

from yolactpp.engine.ema import ExponentialMovingAverage


def constant(value: float) -> nn.BatchNorm1d:
    model = nn.BatchNorm1d(2)
    nn.init.constant_(model.weight, value)
    model.running_mean = torch.full((2,), value)
    return model


def test_worked_values() -> None:
    average = ExponentialMovingAverage(constant(0.0), 0.9)
    average.update(constant(1.0))
    first = 1 - 2 / 11
    assert average.model.weight[0].item() == pytest.approx(first)
    average.update(constant(1.0))
    assert average.model.weight[0].item() == pytest.approx(first + (1 - first) * (1 - 3 / 12))


def test_many_updates_use_the_whole_decay() -> None:
    average = ExponentialMovingAverage(constant(0.0), 0.5)
    average.updates = 1000
    average.update(constant(1.0))
    assert average.model.weight[0].item() == pytest.approx(0.5)


def test_buffers_are_copied() -> None:
    average = ExponentialMovingAverage(constant(0.0), 0.9)
    average.update(constant(3.0))
    assert average.model.running_mean.tolist() == [3.0, 3.0]


def test_state_goes_round() -> None:
    average = ExponentialMovingAverage(constant(0.0), 0.9)
    average.update(constant(1.0))
    other = ExponentialMovingAverage(constant(5.0), 0.9)
    other.load_state_dict(average.state_dict())
    assert other.updates == 1
    assert torch.equal(other.model.weight, average.model.weight)


def test_the_trained_model_is_left_alone() -> None:
    model = constant(1.0)
    average = ExponentialMovingAverage(constant(0.0), 0.9)
    average.update(model)
    assert model.weight.tolist() == [1.0, 1.0]
    assert not any(p.requires_grad for p in average.model.parameters())


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_range_is_named(decay: float) -> None:
    with pytest.raises(ValueError, match=f"schedule.ema_decay={decay}"):
        ExponentialMovingAverage(constant(0.0), decay)
