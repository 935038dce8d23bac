"""Mask losses as the config files make them: one loss alone, or a weighted sum of two or three."""

from losses.cross_entropy import Bce
from losses.regression import Huber, Mse
from losses.terms import Crop, Loss, MaskLoss, Normaliser, Region, Term, name_of
from losses.weights import Weight


def single(
    loss: Loss,
    *,
    name: str | None = None,
    crop: Crop = "weight",
    min_box_area: float = 1.0,
    mse_trains_bce: bool = False,
) -> MaskLoss:
    """A loss alone, over the ground-truth box and divided by its area; a MaskLoss stays as it is.

    This is what `build.py` makes of a bare `loss=NAME`.

    Args:
        loss: a mask loss, or the MaskLoss that a hybrid's file makes.
        name: the term's name in logs; by default the loss's own.
        crop, min_box_area: as in `Term`.
        mse_trains_bce: train BCE where the loss is `Mse`, as the survey's code does by a misspelt
            flag; the term's name stays.
    """
    if isinstance(loss, MaskLoss):
        return loss
    trained = Bce() if mse_trains_bce and isinstance(loss, Mse) else loss
    term = Term(trained, crop=crop, min_box_area=min_box_area)
    return MaskLoss({name or name_of(loss): term})


def full_map(*, loss: Loss, min_box_area: float = 1.0, name: str | None = None) -> MaskLoss:
    """A loss alone, over the whole map.

    Formula: loss over all pixels; a pixel loss's sum divided by the box's area

    Args:
        loss: a bare mask loss.
        min_box_area: least box area to divide by, in prototype pixels.
        name: the term's name in logs; by default the loss's own with `_full`.

    Raises:
        ValueError: for a hybrid.

    Source: CondInst (Tian et al. 2020) trains Dice so.
    """
    if isinstance(loss, MaskLoss):
        raise ValueError(f"full_map: its loss is the hybrid {loss.names}: give a bare loss")
    term = Term(loss, region="full", min_box_area=min_box_area)
    return MaskLoss({name or f"{name_of(loss)}_full": term})


def hybrid(
    *,
    first: Loss,
    second: Loss,
    third: Loss | None = None,
    alpha: Weight = 1.0,
    beta: Weight = 1.0,
    gamma: Weight = 1.0,
    first_region: Region = "cropped",
    first_normaliser: Normaliser = "box_area",
    second_region: Region = "cropped",
    second_normaliser: Normaliser = "box_area",
    third_region: Region = "cropped",
    third_normaliser: Normaliser = "box_area",
    crop: Crop = "weight",
    min_box_area: float = 1.0,
    huber_delta_ignored: bool = False,
    name: str | None = None,  # noqa: ARG001
) -> MaskLoss:
    """A weighted sum of two or three losses.

    Formula: α·first + β·second + γ·third

    Args:
        first: the survey's Loss1.
        second: the survey's Loss2.
        third: a further mask loss, or none.
        alpha: weight of the first: a number, a schedule (`Constant`, `Linear`, `Cosine`) or
            `Learned`.
        beta: weight of the second.
        gamma: weight of the third.
        first_region, second_region, third_region: `cropped` to the box or `full`.
        first_normaliser, second_normaliser, third_normaliser: `box_area`, `region_mean` or
            `image`.
        crop: outside a cropped region pixels have `weight` 0 or probability `zero`.
        min_box_area: least box area to divide by, in prototype pixels.
        huber_delta_ignored: a first Huber loss uses delta 1 whatever it is given, as the survey's
            code does.
        name: of the sum in tables; not used here.

    Raises:
        ValueError: for a hybrid inside a hybrid.

    Source: the survey's section on hybrid losses (αLoss1 + βLoss2).
    """
    if huber_delta_ignored and isinstance(first, Huber):
        first = Huber(name=first.name, delta=1.0)
    parts: list[tuple[Loss | None, Weight, Region, Normaliser]] = [
        (first, alpha, first_region, first_normaliser),
        (second, beta, second_region, second_normaliser),
        (third, gamma, third_region, third_normaliser),
    ]
    terms: dict[str, Term] = {}
    for loss, weight, region, normaliser in parts:
        if loss is None:
            continue
        if isinstance(loss, MaskLoss):
            raise ValueError(f"hybrid: a term is the hybrid {loss.names}: give bare losses")
        key = name_of(loss)
        if key in terms:
            key = f"{key}_{len(terms) + 1}"
        terms[key] = Term(loss, weight, region, normaliser, crop, min_box_area)
    return MaskLoss(terms)
