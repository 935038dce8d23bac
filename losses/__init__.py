"""Losses for masks, boxes and classes: pure tensor functions and their thin Modules.

The contract is in `losses.contract`, composition in `losses.terms` and `losses.compose`;
`python -m losses` lists the catalogue.
"""

from losses.box import Ciou, Diou, Giou, SmoothL1
from losses.checks import check_values
from losses.classes import SigmoidFocal, SoftmaxFocal
from losses.compose import full_map, hybrid, single
from losses.compound import (
    Combo,
    LogCoshBceDice,
    UnifiedFocal,
    combo,
    log_cosh_bce_dice,
    unified_focal,
)
from losses.contract import LossModule, mask_loss, module
from losses.cross_entropy import (
    BalancedBce,
    Bce,
    BorderBce,
    LabelSmoothingBce,
    LogCoshBce,
    WeightedBce,
    balanced_bce,
    bce,
    border_bce,
    label_smoothing_bce,
    log_cosh_bce,
    weighted_bce,
)
from losses.dices import (
    Dice,
    DiceSquared,
    GeneralisedDice,
    LogCoshDice,
    dice,
    dice_squared,
    generalised_dice,
    log_cosh_dice,
)
from losses.edges import Boundary, BoundaryIou, HausdorffDt, boundary, boundary_iou, hausdorff_dt
from losses.hardness import Focal, Poly1, TopkBce, focal, poly1, topk_bce
from losses.lovasz import LovaszHinge, lovasz_hinge
from losses.objectness import SoftObjectness
from losses.ohem import Ohem
from losses.overlap import FocalTversky, Jaccard, Tversky, focal_tversky, jaccard, tversky
from losses.reductions import region_mean, region_sum
from losses.regression import Huber, HuberIsHalfMse, LogCosh, Mae, Mse, huber, log_cosh, mae, mse
from losses.terms import MaskLoss, Term, TermValue
from losses.weights import Constant, Cosine, Learned, Linear

__all__ = [
    "BalancedBce",
    "Bce",
    "BorderBce",
    "Boundary",
    "BoundaryIou",
    "Ciou",
    "Combo",
    "Constant",
    "Cosine",
    "Dice",
    "DiceSquared",
    "Diou",
    "Focal",
    "FocalTversky",
    "GeneralisedDice",
    "Giou",
    "HausdorffDt",
    "Huber",
    "HuberIsHalfMse",
    "Jaccard",
    "LabelSmoothingBce",
    "Learned",
    "Linear",
    "LogCosh",
    "LogCoshBce",
    "LogCoshBceDice",
    "LogCoshDice",
    "LossModule",
    "LovaszHinge",
    "Mae",
    "MaskLoss",
    "Mse",
    "Ohem",
    "Poly1",
    "SigmoidFocal",
    "SmoothL1",
    "SoftObjectness",
    "SoftmaxFocal",
    "Term",
    "TermValue",
    "TopkBce",
    "Tversky",
    "UnifiedFocal",
    "WeightedBce",
    "balanced_bce",
    "bce",
    "border_bce",
    "boundary",
    "boundary_iou",
    "check_values",
    "combo",
    "dice",
    "dice_squared",
    "focal",
    "focal_tversky",
    "full_map",
    "generalised_dice",
    "hausdorff_dt",
    "huber",
    "hybrid",
    "jaccard",
    "label_smoothing_bce",
    "log_cosh",
    "log_cosh_bce",
    "log_cosh_bce_dice",
    "log_cosh_dice",
    "lovasz_hinge",
    "mae",
    "mask_loss",
    "module",
    "mse",
    "poly1",
    "region_mean",
    "region_sum",
    "single",
    "topk_bce",
    "tversky",
    "unified_focal",
    "weighted_bce",
]
