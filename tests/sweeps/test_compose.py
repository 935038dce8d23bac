"""Composing many runs fast gives what Hydra gives; errors name the good names."""

import pytest
from omegaconf import OmegaConf

from sweeps.compose import ComposeError, Composer
from sweeps.grid import Cell, overrides_of

CELLS: list[Cell] = [
    {"loss": "mse_bce", "loss.alpha": "0.5", "seed": "3"},
    {"loss": "mse_bce", "loss.alpha": "2", "seed": "4"},
    {"loss": "bce", "batch_size": "16", "schedule.lr": "1e-3"},
    {"batch_size.total": "12", "image_size": "96"},
    {"dataset.image_size": "96"},
    {"protocol": "survey_code", "loss": "hybrid", "loss@loss.first": "huber"},
    {"protocol.mask_crop": "zero", "loss": "mse_bce"},
    {"schedule.lr_steps": "[10,20]", "seed": "1"},
    {"loss.name": "'${loss._target_}'"},
    {"+loss.extra": "1"},
    {"data_root": "elsewhere"},
]


@pytest.fixture(scope="module")
def composer():
    with Composer() as opened:
        yield opened


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: " ".join(overrides_of(cell)))
def test_the_fast_way_gives_what_a_full_composition_gives(composer: Composer, cell: Cell) -> None:
    shared = ("schedule.iterations=7",)
    full = OmegaConf.to_container(composer.full([*shared, *overrides_of(cell)]), resolve=True)
    assert composer.settings(shared, cell) == full


def test_runs_do_not_share_what_they_hold(composer: Composer) -> None:
    first = composer.settings((), {"seed": "1"})
    first["loss"]["name"] = "changed"
    assert composer.settings((), {"seed": "2"})["loss"]["name"] == "bce"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"schedule.iteration": "3"}, "Did you mean schedule.iterations"),
        ({"los": "3"}, "Did you mean loss"),
        ({"loss": "focall"}, "Did you mean loss=focal"),
        ({"loss": "bce", "loss.alpha": "1"}, "there is no setting loss.alpha"),
        ({"seed": "[1"}, "mismatched|missing|LexerNoViableAlt|no viable|expecting"),
    ],
)
def test_wrong_settings_are_refused_with_the_good_names(
    composer: Composer, cell: Cell, message: str
) -> None:
    with pytest.raises(ComposeError, match=message):
        composer.settings((), cell)


def test_groups_are_told_from_values(composer: Composer) -> None:
    assert composer.is_group("loss")
    assert composer.is_group("loss@loss.first")
    assert composer.is_group("hydra/launcher")
    assert not composer.is_group("loss.alpha")
    assert not composer.is_group("seed")
