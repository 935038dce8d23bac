"""The example of docs/adding_a_loss.md runs as it stands."""

import re
import sys
import types
from pathlib import Path

import pytest
import torch
import yaml
from hydra.utils import instantiate

from losses.ranges import parameters_of
from tests.losses.cases import logits_of
from tests.losses.test_worked_values import PROBS, TARGET

PAGE = (Path(__file__).parents[2] / "docs" / "adding_a_loss.md").read_text()


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def test_the_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    source, worked = blocks("python")
    (config,) = blocks("yaml")
    example = types.ModuleType("losses_example")
    monkeypatch.setitem(sys.modules, "losses_example", example)
    exec(source, vars(example))
    expected: dict[str, object] = {}
    exec(worked, expected)
    arguments, value = expected["WORKED"]["power_error"]  # type: ignore[index]
    logits = logits_of(PROBS)
    assert example.power_error(logits, TARGET, **arguments).item() == pytest.approx(value)
    node = yaml.safe_load(config)
    node["_target_"] = node["_target_"].replace("losses.", "losses_example.")
    loss = instantiate(node)
    assert loss.name == "power_error"
    assert loss.kind == "pixel"
    torch.testing.assert_close(loss(logits, TARGET), example.power_error(logits, TARGET))
    assert str(parameters_of(example.power_error)["exponent"].range) == "(0, ∞)"
    with pytest.raises(ValueError, match=r"power_error: exponent=0, must be a number in \(0, ∞\)"):
        example.PowerError(exponent=0)
