import json

import pytest

from tests.golden import GOLDEN
from yolactpp.engine.schedule import Schedule, rescale

STEPS = (280_000, 600_000, 700_000, 750_000)
ITERATIONS = {"yolact_plus_base": 800_000, "yolact_plus_cig_butts": 4_000}


def original(iterations: int, lr: float) -> Schedule:
    return Schedule(iterations, lr, 500, 1e-4, STEPS, 0.1)


@pytest.mark.parametrize("config", json.loads((GOLDEN / "lr_schedule.json").read_text()))
def test_golden_learning_rates(config: str) -> None:
    for case in json.loads((GOLDEN / "lr_schedule.json").read_text())[config]:
        given = case["lr_argument"]
        schedule = rescale(
            original(ITERATIONS[config], 1e-3 if given is None else given),
            case["batch_size"],
            rescale_lr=given is None,
        )
        assert schedule.lr == pytest.approx(case["scaled_lr"], rel=0, abs=1e-12)
        assert schedule.iterations == case["scaled_max_iter"]
        assert list(schedule.lr_steps) == case["scaled_steps"]
        for iteration, rate in case["lr_at"].items():
            assert schedule.learning_rate(int(iteration)) == pytest.approx(rate, rel=0, abs=1e-12)


def test_warm_up_is_linear_and_ends_at_the_rate() -> None:
    schedule = Schedule(100, 0.5, 10, 0.1, (), 0.1)
    rates = [schedule.learning_rate(i) for i in (0, 5, 10, 11)]
    assert rates == pytest.approx([0.1, 0.3, 0.5, 0.5])


def test_no_warm_up_starts_at_the_rate() -> None:
    assert Schedule(10, 0.5, 0, 0.1, (), 0.1).learning_rate(0) == 0.5


def test_steps_win_over_the_warm_up() -> None:
    schedule = Schedule(100, 1.0, 50, 0.0, (10, 20), 0.1)
    assert schedule.learning_rate(9) == pytest.approx(0.18)
    assert schedule.learning_rate(10) == pytest.approx(0.1)
    assert schedule.learning_rate(20) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0, 1.0, 0, 0.0, (), 0.1), "schedule.iterations=0"),
        ((1, 0.0, 0, 0.0, (), 0.1), "schedule.lr=0.0"),
        ((1, 1.0, 0, -1.0, (), 0.1), "warmup_lr=-1.0"),
        ((1, 1.0, -1, 0.0, (), 0.1), "schedule.warmup_iterations=-1"),
        ((1, 1.0, 0, 0.0, (5, 3), 0.1), r"schedule.lr_steps=\[5, 3\]"),
    ],
)
def test_values_out_of_range_are_named(arguments: tuple, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Schedule(*arguments)


def test_rescaling_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"schedule.iterations=0"):
        rescale(Schedule(2, 1.0, 0, 0.0, (), 0.1), 32)
