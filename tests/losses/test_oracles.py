"""The public libraries as oracles, in float64 and on many shapes; where they err, why we differ.

Source of truth for a disagreement is the formula in the loss's docstring.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

import losses
from tests.losses.cases import random_case

monai = pytest.importorskip("monai.losses", reason="a development extra")
smp = pytest.importorskip("segmentation_models_pytorch", reason="a development extra").losses

SHAPES = [(1, 3, 3), (3, 8, 5), (2, 17, 23)]
CASES = [(shape, soft) for shape in SHAPES for soft in (False, True)]
MANY = pytest.mark.parametrize(("shape", "soft"), CASES)
HARD = pytest.mark.parametrize("shape", SHAPES)


def channels(tensor_NHW: Tensor) -> Tensor:
    """[N, 1, H, W], as MONAI wants it."""
    return tensor_NHW[:, None]


def of_monai(oracle: Any, logits: Tensor, target: Tensor) -> Tensor:
    """One value an instance."""
    return oracle(channels(logits), channels(target)).flatten(1).mean(dim=1)


@MANY
@pytest.mark.parametrize("squared", [False, True])
def test_dices_of_monai(shape: tuple[int, int, int], soft: bool, squared: bool) -> None:
    logits, target, _ = random_case(shape, soft=soft)
    oracle = monai.DiceLoss(
        sigmoid=True, squared_pred=squared, reduction="none", smooth_nr=0.0, smooth_dr=0.0
    )
    ours = losses.dice_squared if squared else losses.dice
    torch.testing.assert_close(ours(logits, target, smooth=0.0), of_monai(oracle, logits, target))


@MANY
def test_jaccard_of_monai(shape: tuple[int, int, int], soft: bool) -> None:
    logits, target, _ = random_case(shape, soft=soft)
    oracle = monai.DiceLoss(
        sigmoid=True, jaccard=True, reduction="none", smooth_nr=0.0, smooth_dr=0.0
    )
    # MONAI's jaccard is 1 - 2I/(2(P + T - I)), the same score.
    torch.testing.assert_close(
        losses.jaccard(logits, target, smooth=0.0), of_monai(oracle, logits, target)
    )


@MANY
def test_tversky_of_monai(shape: tuple[int, int, int], soft: bool) -> None:
    logits, target, _ = random_case(shape, soft=soft)
    oracle = monai.TverskyLoss(
        sigmoid=True, alpha=0.3, beta=0.7, reduction="none", smooth_nr=0.0, smooth_dr=0.0
    )
    ours = losses.tversky(logits, target, fp_weight=0.3, fn_weight=0.7, smooth=0.0)
    torch.testing.assert_close(ours, of_monai(oracle, logits, target))


@MANY
def test_generalised_dice_of_monai(shape: tuple[int, int, int], soft: bool) -> None:
    """As two channels: a softmax over (0, z) is (1 - p, p)."""
    logits, target, _ = random_case(shape, soft=soft)
    oracle = monai.GeneralizedDiceLoss(softmax=True, reduction="none", smooth_nr=0.0, smooth_dr=0.0)
    both = torch.stack([torch.zeros_like(logits), logits], dim=1)
    truth = torch.stack([1 - target, target], dim=1)
    ours = losses.generalised_dice(logits, target, smooth=0.0)
    torch.testing.assert_close(ours, oracle(both, truth).flatten())


def test_generalised_dice_of_an_empty_mask() -> None:
    """MONAI too gives the empty class the other's weight in place of an infinite one."""
    logits, target, _ = random_case((2, 8, 8))
    target = torch.zeros_like(target)
    oracle = monai.GeneralizedDiceLoss(softmax=True, reduction="none", smooth_nr=0.0, smooth_dr=0.0)
    both = torch.stack([torch.zeros_like(logits), logits], dim=1)
    truth = torch.stack([1 - target, target], dim=1)
    ours = losses.generalised_dice(logits, target, smooth=0.0)
    torch.testing.assert_close(ours, oracle(both, truth).flatten())


@MANY
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.5, 0.7), (0.0, None), (3.0, None)])
def test_focal_of_torchvision(
    shape: tuple[int, int, int], soft: bool, gamma: float, alpha: float | None
) -> None:
    logits, target, _ = random_case(shape, soft=soft)
    oracle = sigmoid_focal_loss(
        logits, target, alpha=-1 if alpha is None else alpha, gamma=gamma
    ).mean(dim=(1, 2))
    torch.testing.assert_close(losses.focal(logits, target, gamma=gamma, alpha=alpha), oracle)


def test_focal_of_torchvision_has_no_gradient_where_p_rounds_to_1() -> None:
    """Why we differ: it takes 1 - p_t from rounded probabilities; below gamma 1 that is NaN."""
    target = torch.ones(1, 1, 1)
    theirs = torch.full((1, 1, 1), 30.0, requires_grad=True)
    sigmoid_focal_loss(theirs, target, gamma=0.5).sum().backward()
    ours = torch.full((1, 1, 1), 30.0, requires_grad=True)
    losses.focal(ours, target, gamma=0.5).sum().backward()
    assert theirs.grad is not None
    assert ours.grad is not None
    assert theirs.grad.isnan().all()
    assert ours.grad.isfinite().all()


@HARD
def test_focal_of_monai(shape: tuple[int, int, int]) -> None:
    logits, target, _ = random_case(shape)
    oracle = monai.FocalLoss(gamma=2.0, alpha=0.25, reduction="none", include_background=True)
    ours = losses.focal(logits, target).float()  # MONAI computes in float32 whatever it is given
    torch.testing.assert_close(ours, of_monai(oracle, logits, target))


@HARD
@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_hausdorff_of_monai(shape: tuple[int, int, int], alpha: float) -> None:
    """MONAI knows no soft targets here, and stores its distances in float32."""
    logits, target, _ = random_case(shape, seed=3)
    oracle = monai.HausdorffDTLoss(
        sigmoid=True, alpha=alpha, reduction="none", include_background=True
    )
    ours = losses.hausdorff_dt(logits, target, alpha=alpha)
    torch.testing.assert_close(ours, of_monai(oracle, logits, target), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_hausdorff_of_masks_without_edge(fill: float) -> None:
    """MONAI too gives an empty and a full mask the distance 0."""
    logits, target, _ = random_case((2, 6, 6))
    target = torch.full_like(target, fill)
    logits[1] = 3.0
    oracle = monai.HausdorffDTLoss(sigmoid=True, reduction="none", include_background=True)
    ours = losses.hausdorff_dt(logits, target)
    torch.testing.assert_close(ours, of_monai(oracle, logits, target), rtol=1e-5, atol=1e-6)
    assert ours[1].item() == 0


@HARD
@pytest.mark.parametrize("name", ["dice", "jaccard", "tversky"])
def test_overlaps_of_smp(shape: tuple[int, int, int], name: str) -> None:
    """Instances as channels; it averages them."""
    logits, target, _ = random_case(shape)
    oracles = {
        "dice": smp.DiceLoss("multilabel", smooth=0.0, eps=1e-12),
        "jaccard": smp.JaccardLoss("multilabel", smooth=0.0, eps=1e-12),
        "tversky": smp.TverskyLoss("multilabel", smooth=0.0, eps=1e-12, alpha=0.3, beta=0.7),
    }
    arguments = {"fp_weight": 0.3, "fn_weight": 0.7} if name == "tversky" else {}
    ours = getattr(losses, name)(logits, target, smooth=0.0, **arguments)
    torch.testing.assert_close(ours.mean(), oracles[name](logits[None], target[None]))


def test_smp_counts_soft_overlap_otherwise() -> None:
    """Why we differ: its overlap is (P + T - Σ|p - t|)/2 = Σ min(p, t), Σpt for hard targets alone.

    Σpt is the formula of the papers and of MONAI; with it p = t is not the minimum.
    """
    logits, target, _ = random_case((1, 6, 6), soft=True)
    probs = torch.sigmoid(logits)
    theirs = 1 - 2 * torch.minimum(probs, target).sum() / (probs.sum() + target.sum())
    oracle = smp.DiceLoss("multilabel", smooth=0.0, eps=1e-12)
    torch.testing.assert_close(oracle(logits[None], target[None]), theirs)
    assert losses.dice(logits, target).item() > theirs.item()


def test_smp_forgives_false_pixels_of_an_empty_mask() -> None:
    """Why we differ: it multiplies the loss of an empty target by 0, so nothing is unlearned."""
    logits, target, _ = random_case((1, 6, 6))
    empty = torch.zeros_like(target)
    assert smp.DiceLoss("multilabel")(logits[None], empty[None]).item() == 0
    assert losses.dice(logits, empty).item() == pytest.approx(1, abs=1e-3)


@HARD
def test_focal_tversky_of_smp(shape: tuple[int, int, int]) -> None:
    """One instance at a time: it takes the power of the mean over classes."""
    logits, target, _ = random_case(shape)
    oracle = smp.TverskyLoss("binary", smooth=0.0, eps=1e-12, alpha=0.3, beta=0.7, gamma=0.75)
    ours = losses.focal_tversky(logits, target, smooth=0.0)
    theirs = [oracle(z[None, None], t[None, None]) for z, t in zip(logits, target, strict=True)]
    torch.testing.assert_close(ours, torch.stack(theirs))


@HARD
def test_lovasz_of_smp(shape: tuple[int, int, int]) -> None:
    logits, target, _ = random_case(shape)
    oracle = smp.LovaszLoss("binary", per_image=True)
    logits, target = logits.float(), target.float()  # smp mixes dtypes on float64 and fails
    torch.testing.assert_close(losses.lovasz_hinge(logits, target).mean(), oracle(logits, target))


@MANY
def test_bce_kin_of_smp_and_torch(shape: tuple[int, int, int], soft: bool) -> None:
    """smp's smoothing mixes with 1 - t, which is ours at twice its factor."""
    logits, target, _ = random_case(shape, soft=soft)
    smoothed = smp.SoftBCEWithLogitsLoss(reduction="none", smooth_factor=0.1)(logits, target)
    ours = losses.label_smoothing_bce(logits, target, smoothing=0.2)
    torch.testing.assert_close(ours, smoothed.mean(dim=(1, 2)))
    weight = torch.tensor(3.0, dtype=torch.float64)
    weighted = F.binary_cross_entropy_with_logits(
        logits, target, pos_weight=weight, reduction="none"
    )
    torch.testing.assert_close(
        losses.weighted_bce(logits, target, positive_weight=3.0), weighted.mean(dim=(1, 2))
    )


@MANY
def test_huber_of_torch(shape: tuple[int, int, int], soft: bool) -> None:
    logits, target, _ = random_case(shape, soft=soft)
    oracle = F.huber_loss(torch.sigmoid(logits), target, reduction="none", delta=0.3)
    torch.testing.assert_close(losses.huber(logits, target, delta=0.3), oracle.mean(dim=(1, 2)))
