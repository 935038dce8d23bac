"""Every file of the loss groups: composed, instantiated, trained, listed."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

import losses
from losses.catalogue import catalogue, options, read
from losses.regions import box_crop_NHW
from tests.losses.cases import random_case

ROOT = Path(__file__).parents[2]
PROTOCOLS = [
    "sound",
    pytest.param("yolact", marks=pytest.mark.slow),
    pytest.param("survey_code", marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True)
def _half_mse_is_known() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", losses.HuberIsHalfMse)
        yield


def composed(*overrides: str, root: str | None = "train") -> DictConfig:
    """The root config of training, or the groups of the overrides alone, losses resolved."""
    with initialize_config_module("conf", version_base="1.3"):
        config = compose(root, overrides=list(overrides))
    OmegaConf.resolve(config.loss)
    return config


def made(config: DictConfig) -> losses.MaskLoss:
    return losses.single(
        instantiate(config.loss),
        name=config.loss.name,
        crop=config.protocol.mask_crop,
        min_box_area=config.protocol.min_box_area,
        mse_trains_bce=config.protocol.mse_trains_bce,
    )


@pytest.mark.parametrize("name", options("loss"))
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_mask_loss_trains_two_steps(name: str, protocol: str) -> None:
    logits, target, _ = random_case((4, 16, 16))
    boxes = torch.tensor([[0.1, 0.2, 0.8, 0.9]]).expand(4, 4)
    # As in a data set: the mask lies in its box.
    target = (target * box_crop_NHW(boxes, 16, 16)).float()
    config = composed(f"+loss={name}", f"+protocol={protocol}", root=None)
    own_names = {"hybrid": "mse_bce", "full_map": "dice_full"}
    assert config.loss.name == own_names.get(name, name)
    loss = made(config)
    logits = logits.float().clamp(-3, 3).requires_grad_()
    optimiser = torch.optim.SGD([logits, *loss.parameters()], lr=0.1)
    totals = []
    for step in range(3):
        values = loss(logits, target, boxes, progress=step / 2)
        total = torch.stack([(each.weight * each.raw_N).sum() for each in values]).sum()
        totals.append(total.item())
        optimiser.zero_grad()
        total.backward()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()
        assert logits.grad.abs().sum() > 0
        optimiser.step()
    if name != "dice_boundary":  # its schedule moves the sum itself
        assert totals[2] < totals[0]


@pytest.mark.parametrize("name", options("box_loss"))
def test_box_loss_trains_two_steps(name: str) -> None:
    config = composed("+loss=bce", "+protocol=sound", f"+box_loss={name}", root=None)
    loss = instantiate(config.box_loss)
    predicted = torch.full((5, 4), 0.4, requires_grad=True)
    priors = torch.full((5, 4), 0.3)
    optimiser = torch.optim.SGD([predicted], lr=0.05)
    totals = []
    for _ in range(3):
        total = loss(predicted, torch.zeros(5, 4), priors).sum()
        totals.append(total.item())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    assert totals[0] > totals[1] > totals[2]


@pytest.mark.parametrize("name", options("class_loss"))
def test_class_loss_trains_two_steps(name: str) -> None:
    config = composed("+loss=bce", "+protocol=sound", f"+class_loss={name}", root=None)
    loss = instantiate(config.class_loss)
    logits = torch.zeros(2, 30, 4, requires_grad=True)
    target = torch.zeros(2, 30, dtype=torch.int64)
    target[:, ::7] = 2
    target[:, 1] = -1
    optimiser = torch.optim.SGD([logits], lr=0.1)
    totals = []
    for _ in range(3):
        geometry = {"priors_P4": torch.rand(30, 4), "matched_boxes_BP4": torch.zeros(2, 30, 4)}
        total = loss(logits, target, **geometry)
        totals.append(total.item())
        optimiser.zero_grad()
        total.backward()
        assert logits.grad is not None
        assert (logits.grad[:, 1] == 0).all()
        optimiser.step()
    assert totals[0] > totals[1] > totals[2]


def test_unknown_parameter_in_a_file_or_command_is_refused() -> None:
    with pytest.raises(Exception, match="gama"):
        composed("loss=focal", "loss.gama=1")
    with pytest.raises(Exception, match=r"focal: gamma=-1, must be a number in \[0, ∞\)"):
        made(composed("loss=focal", "loss.gamma=-1"))


def test_command_lines_of_the_contract() -> None:
    loss = composed("loss=hybrid", "loss.alpha=0.5").loss
    assert (loss.first.name, loss.second.name, loss.alpha, loss.beta) == ("mse", "bce", 0.5, 1)
    given = ["loss=hybrid", "loss@loss.first=huber", "loss@loss.second=mse", "loss.first.delta=2"]
    config = composed(*given)
    assert config.loss.name == "huber_mse"
    first, second = made(config).terms
    assert first.loss.arguments == {"delta": 2}
    assert isinstance(second.loss, losses.Mse)


def test_third_term_is_a_file() -> None:
    loss = made(composed("loss=mse_bce_huber", "loss.gamma=0.25"))
    assert loss.names == ["mse", "bce", "huber"]
    assert loss.terms[2].weight == 0.25


@pytest.mark.parametrize(
    "wrong", ["loss@first=huber", "/loss@loss.first=huber", "loss/first=huber"]
)
def test_spellings_that_do_not_work(wrong: str) -> None:
    with pytest.raises(Exception, match=r"Could not override|Error parsing override"):
        composed("loss=hybrid", wrong)


def test_multirun_of_the_contract(tmp_path: Path) -> None:
    """`-m loss=hybrid loss@loss.first=mse,huber loss.alpha=0.5,2`, in a Hydra program."""
    program = tmp_path / "program.py"
    program.write_text(
        "import hydra\n"
        "@hydra.main(config_path='pkg://conf', config_name='train', version_base='1.3')\n"
        "def main(cfg):\n"
        "    print('JOB', cfg.loss.name, cfg.loss.first.name, cfg.loss.alpha)\n"
        "main()\n"
    )
    words = ["-m", "loss=hybrid", "loss@loss.first=mse,huber", "loss.alpha=0.5,2"]
    words += [f"hydra.sweep.dir={tmp_path / 'out'}"]
    done = subprocess.run(
        [sys.executable, str(program), *words],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    jobs = [line for line in done.stdout.splitlines() if line.startswith("JOB")]
    pairs = [(first, alpha) for first in ("mse", "huber") for alpha in ("0.5", "2")]
    assert jobs == [f"JOB {first}_bce {first} {alpha}" for first, alpha in pairs]


def test_survey_protocol_reaches_the_losses() -> None:
    loss = made(composed("loss=mse_bce", "loss.alpha=0.5", "protocol=survey_code"))
    first, second = loss.terms
    assert (first.region, first.normaliser) == ("full", "image")
    assert (second.region, second.normaliser) == ("cropped", "box_area")
    assert {first.crop, second.crop} == {"zero"}
    (dice,) = made(composed("loss=dice", "protocol=survey_code")).terms
    assert dice.loss.kind == "pixel"
    (damped,) = made(composed("loss=log_cosh_bce", "protocol=survey_code")).terms
    assert damped.loss.arguments["naive"]


def test_sweep_trains_every_loss() -> None:
    sweep = yaml.safe_load((ROOT / "conf" / "sweep" / "all_losses.yaml").read_text())["sweep"]
    swept = {group: set() for group in ("loss", "box_loss", "class_loss")}
    for grid in sweep["grids"]:
        for group in set(grid) & set(swept):
            swept[group] |= set(grid[group])
    assert swept["loss"] == set(options("loss")) - {"boundary", "hausdorff_dt", "hybrid"}
    defaults = {"box_loss": "smooth_l1", "class_loss": "ohem"}  # these train with every mask loss
    for group, default in defaults.items():
        targets = {read(group, name)["_target_"] for name in swept[group] | {default}}
        assert targets == {read(group, name)["_target_"] for name in options(group)}


def test_every_file_stands_in_the_catalogue() -> None:
    listed = {(entry.group, entry.name) for entry in catalogue()}
    files = {
        (group, file.stem)
        for group in ("loss", "box_loss", "class_loss")
        for file in (ROOT / "conf" / group).glob("*.yaml")
    }
    assert listed == files
