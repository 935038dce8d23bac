"""What a person reads where a node of the settings cannot be made."""

import pytest

from tests.test_conf import settings
from yolactpp import build
from yolactpp.engine.failures import BadInputError


def test_a_misspelt_argument_lists_the_good_ones() -> None:
    node = {"_target_": "losses.SmoothL1", "name": "smooth_l1", "betta": 1.0}
    with pytest.raises(BadInputError, match=r"betta.*it takes beta.*Did you mean beta\?"):
        build.make(node)


def test_a_misspelt_argument_deep_inside_is_found_too() -> None:
    network = settings()["model"]["network"]
    network["priors"]["bases"] = network["priors"].pop("base")
    with pytest.raises(BadInputError, match=r"bases.*Did you mean base\?"):
        build.make(network, num_classes=2)


def test_a_refused_value_is_told_plainly() -> None:
    with pytest.raises(BadInputError, match=r"^smooth_l1: beta=-1.0"):
        build.make({"_target_": "losses.SmoothL1", "beta": -1.0})


def test_an_unknown_target_is_named() -> None:
    with pytest.raises(BadInputError, match=r"losses.NoSuchLoss"):
        build.make({"_target_": "losses.NoSuchLoss"})
