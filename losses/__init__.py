"""Losses for masks, boxes and classes: pure tensor functions and their thin Modules.

The contract is in `losses.contract`, composition in `losses.terms` and `losses.compose`;
`python -m losses` lists the catalogue.
"""

from losses.box import SmoothL1
from losses.checks import check_values
from losses.compose import hybrid, single
from losses.contract import LossModule, mask_loss, module
from losses.cross_entropy import Bce, LogCoshBce, bce, log_cosh_bce
from losses.dices import Dice, DiceSquared, LogCoshDice, dice, dice_squared, log_cosh_dice
from losses.ohem import Ohem
from losses.regression import (
    Huber,
    HuberIsHalfMse,
    LogCosh,
    Mae,
    Mse,
    huber,
    log_cosh,
    mae,
    mse,
)
from losses.terms import MaskLoss, Term, TermValue
from losses.weights import Constant, Cosine, Learned, Linear

__all__ = [
    "Bce",
    "Constant",
    "Cosine",
    "Dice",
    "DiceSquared",
    "Huber",
    "HuberIsHalfMse",
    "Learned",
    "Linear",
    "LogCosh",
    "LogCoshBce",
    "LogCoshDice",
    "LossModule",
    "Mae",
    "MaskLoss",
    "Mse",
    "Ohem",
    "SmoothL1",
    "Term",
    "TermValue",
    "bce",
    "check_values",
    "dice",
    "dice_squared",
    "huber",
    "hybrid",
    "log_cosh",
    "log_cosh_bce",
    "log_cosh_dice",
    "mae",
    "mask_loss",
    "module",
    "mse",
    "single",
]
