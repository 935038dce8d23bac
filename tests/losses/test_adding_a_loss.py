"""The example of docs/adding_a_loss.md runs as it stands."""

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
from tests.pages import Block, blocks_of

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_loss.md"


def block(title: str) -> Block:
    (found,) = (each for each in blocks_of(PAGE) if each.title == title)
    return found


def test_the_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    example = types.ModuleType("losses_example")
    monkeypatch.setitem(sys.modules, "losses_example", example)
    exec(block("losses/power_error.py").text, vars(example))
    added = block("tests/losses/test_worked_values.py").text.splitlines()[1].removeprefix("+")
    arguments, value = eval(f"{{{added}}}")["power_error"]
    logits = logits_of(PROBS)
    assert example.power_error(logits, TARGET, **arguments).item() == pytest.approx(value)
    node = yaml.safe_load(block("conf/loss/power_error.yaml").text)
    node["_target_"] = node["_target_"].replace("losses.", "losses_example.")
    loss = instantiate(node)
    assert loss.name == "power_error"
    assert loss.kind == "pixel"
    torch.testing.assert_close(loss(logits, TARGET), example.power_error(logits, TARGET))
    assert str(parameters_of(example.power_error)["exponent"].range) == "(0, ∞)"
    with pytest.raises(ValueError, match=r"power_error: exponent=0, must be a number in \(0, ∞\)"):
        example.PowerError(exponent=0)
