from typing import Any

import pytest

from tests.test_conf import settings
from yolactpp.engine.failures import BadInputError
from yolactpp.settings import check_settings, unknown_key


def changed(key: str, value: Any) -> dict[str, Any]:
    config = settings()
    *parents, last = key.split(".")
    node = config
    for parent in parents:
        node = node[parent]
    node[last] = value
    return config


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("schedule.iterations", "many", r"schedule.iterations=many: a whole number"),
        ("schedule.iterations", 0, r"schedule.iterations=0: at least 1"),
        ("schedule.lr", True, r"schedule.lr=True: a number"),
        ("schedule.lr", -1.0, r"schedule.lr=-1.0"),
        ("schedule.lr_steps", [9, 3], r"schedule.lr_steps=\[9, 3\]"),
        ("schedule.ema_decay", "x", r"schedule.ema_decay=x: a number, or null"),
        ("schedule.momentum", 1.0, r"schedule.momentum=1.0: must lie in \[0, 1\)"),
        ("image_size", 8, r"image_size=8: at least 32"),
        ("seed", 1.5, r"seed=1.5: a whole number"),
        ("precision", "fp8", r"precision=fp8: choose one of fp32, bf16, fp16"),
        (
            "runtime.augment_on",
            "gpu",
            r"runtime.augment_on=gpu: choose one of workers, device",
        ),
    ],
)
def test_values_out_of_range_are_named(key: str, value: Any, named: str) -> None:
    with pytest.raises(BadInputError, match=named):
        check_settings(changed(key, value))


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("schedule.iteratons", "schedule.iterations"),
        ("protocol.shufle", "protocol.shuffle"),
        ("runtime.worker", "runtime.workers"),
        ("batch_size.totl", "batch_size.total"),
    ],
)
def test_a_misspelt_key_inside_an_option_is_refused(key: str, good: str) -> None:
    with pytest.raises(BadInputError, match=f"no setting {key}. Did you mean {good}?"):
        check_settings(changed(key, 1))


def test_the_hint_looks_at_the_last_part() -> None:
    good = ["loss.first.name", "loss.first.delta"]
    assert "Did you mean" not in unknown_key("loss.first.zzz", good)
    assert "Did you mean loss.first.delta?" in unknown_key("loss.first.dleta", good)
