from typing import Any

import pytest
import torch

from tests.test_conf import settings
from yolactpp import build
from yolactpp.engine.distributed import World
from yolactpp.engine.failures import BadInputError

CPU = torch.device("cpu")


def test_a_name_goes_only_where_it_is_taken() -> None:
    assert callable(build.make({"_target_": "losses.SmoothL1", "name": "mine"}))
    assert build.make({"_target_": "losses.Huber", "name": "huber_d2", "delta": 0.5}).name == (
        "huber_d2"
    )


def test_a_hybrid_s_terms_bear_their_names() -> None:
    config = settings("loss=hybrid", "loss@loss.first=mse", "loss@loss.second=dice")
    assert build.build_mask_loss(config).names == ["mse", "dice"]


def test_sgd_decays_every_parameter() -> None:
    config = settings()
    segmenter = build.build_segmenter(config, 1)
    optimizer: Any = build.build_optimizer(config, segmenter)
    (group,) = optimizer.param_groups
    assert len(group["params"]) == len(list(segmenter.parameters()))
    assert (group["momentum"], group["weight_decay"]) == (0.9, 5e-4)


def test_phantom_classes_widen_the_head() -> None:
    sound, fork = (
        build.build_segmenter(settings(f"protocol={name}"), 1).network.semantic.out_channels
        for name in ("sound", "survey_code")
    )
    assert (sound, fork) == (1, 8)


@pytest.mark.parametrize("setting", [-1, "many", 1.5])
def test_workers_out_of_range_are_named(setting: Any) -> None:
    with pytest.raises(BadInputError, match=f"runtime.workers={setting}"):
        build.choose_workers(setting, World(), CPU)


def test_workers_by_themselves_leave_half_the_cores() -> None:
    assert 0 <= build.choose_workers("auto", World(), CPU) <= build.MOST_WORKERS
    assert build.choose_workers(3, World(), CPU) == 3
