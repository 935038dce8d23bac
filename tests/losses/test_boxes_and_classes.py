"""Box and class losses against torchvision, naive loops and worked values."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision import ops

import losses
from losses.box import decoded
from losses.objectness import (
    centre_distance,
    objectness_loss_1,
    objectness_loss_2,
    objectness_loss_3,
    soft_score_1,
    soft_score_2,
)

GENERATOR_SEED = 0


def random_boxes(count: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(GENERATOR_SEED)
    priors = torch.rand(count, 4, generator=generator, dtype=torch.float64) * 0.4 + 0.1
    predicted, target = torch.randn(2, count, 4, generator=generator, dtype=torch.float64)
    return predicted, target, priors


def test_decoding_by_hand() -> None:
    priors = torch.tensor([[0.5, 0.5, 0.2, 0.4]])
    loc = torch.tensor([[1.0, -1.0, 5 * math.log(2), 0.0]])
    # Centre 0.5 + 0.1·0.2, 0.5 − 0.1·0.4; sides 0.2·2, 0.4.
    torch.testing.assert_close(decoded(loc, priors), torch.tensor([[0.32, 0.26, 0.72, 0.66]]))


def test_smooth_l1_by_hand() -> None:
    zero = torch.zeros(2, 4)
    predicted = torch.tensor([[0.5, -2.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    value = losses.SmoothL1()(predicted, zero, zero)
    torch.testing.assert_close(value, torch.tensor([0.125 + 1.5 + 0.5, 0.0]))


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("Giou", ops.generalized_box_iou_loss),
        ("Diou", ops.distance_box_iou_loss),
        ("Ciou", ops.complete_box_iou_loss),
    ],
)
def test_iou_losses(name: str, oracle: object) -> None:
    predicted, target, priors = random_boxes(20)
    predicted.requires_grad_()
    value = getattr(losses, name)()(predicted, target, priors)
    expected = oracle(decoded(predicted, priors), decoded(target, priors))  # type: ignore[operator]
    torch.testing.assert_close(value, expected)
    same = getattr(losses, name)()(target, target, priors)
    torch.testing.assert_close(same, torch.zeros(20, dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["SmoothL1", "Giou", "Diou", "Ciou"])
def test_box_losses_stay_finite(name: str) -> None:
    loss = getattr(losses, name)()
    _, target, priors = random_boxes(4)
    for level in (0.0, 100.0, -100.0, 1e4, -1e4):
        predicted = torch.full((4, 4), level, requires_grad=True)
        value = loss(predicted, target.float(), priors.float())
        value.sum().backward()
        assert value.isfinite().all(), level
        assert predicted.grad is not None
        assert predicted.grad.isfinite().all(), level
    empty = torch.zeros(0, 4, requires_grad=True)
    loss(empty, torch.zeros(0, 4), torch.zeros(0, 4)).sum().backward()
    with pytest.raises(ValueError, match=r"must be \[N, 4\]"):
        loss(torch.zeros(2, 4), torch.zeros(3, 4), torch.zeros(2, 4))


def random_classes(soft_seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(soft_seed)
    logits = torch.randn(3, 40, 4, generator=generator, dtype=torch.float64) * 2
    target = torch.randint(-1, 4, (3, 40), generator=generator)
    target[torch.rand(3, 40, generator=generator) < 0.7] = 0
    return logits, target


def naive_hard_negatives(logits_PC: Tensor, target_P: Tensor, ratio: int) -> list[int]:
    """The fork's rule, sorted in Python."""
    hardness = []
    for scores, label in zip(logits_PC.tolist(), target_P.tolist(), strict=True):
        logsumexp = math.log(sum(math.exp(score) for score in scores))
        hardness.append(logsumexp - scores[0] if label == 0 else 0.0)
    order = sorted(range(len(hardness)), key=lambda prior: -hardness[prior])
    wanted = min(ratio * int((target_P > 0).sum()), len(order) - 1)
    return [prior for prior in order[:wanted] if target_P[prior] == 0]


def test_ohem_against_a_loop() -> None:
    logits, target = random_classes()
    expected = 0.0
    for image in range(3):
        positives = (target[image] > 0).nonzero().flatten().tolist()
        for prior in positives + naive_hard_negatives(logits[image], target[image], 3):
            log_probs = logits[image, prior].log_softmax(dim=0)
            expected -= log_probs[target[image, prior]].item()
    assert losses.Ohem()(logits, target).item() == pytest.approx(expected)


def test_ohem_without_positives_is_a_differentiable_zero() -> None:
    logits, target = random_classes()
    logits.requires_grad_()
    value = losses.Ohem()(logits, target.clamp(max=0))
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None


def test_ohem_on_an_image_without_objects_takes_its_hardest_backgrounds() -> None:
    logits, target = random_classes()
    target[0] = target[0].clamp(max=0)
    without = losses.Ohem()(logits, target)
    backgrounds = (target[0] == 0).nonzero().flatten()
    costs = -logits[0, backgrounds].log_softmax(dim=1)[:, 0]
    expected = without + costs.sort(descending=True).values[:5].sum()
    actual = losses.Ohem(negatives_without_positives=5)(logits, target)
    torch.testing.assert_close(actual, expected)


def test_sigmoid_focal_of_torchvision() -> None:
    logits, target = random_classes()
    known = target >= 0
    hot = F.one_hot(target[known], 4)[:, 1:].double()
    oracle = ops.sigmoid_focal_loss(logits[known][:, 1:], hot, reduction="sum")
    torch.testing.assert_close(losses.SigmoidFocal()(logits, target), oracle)
    plain = F.binary_cross_entropy_with_logits(logits[known][:, 1:], hot, reduction="sum")
    torch.testing.assert_close(losses.SigmoidFocal(gamma=0, alpha=None)(logits, target), plain)


def test_softmax_focal_against_a_loop() -> None:
    logits, target = random_classes()
    expected = 0.0
    for scores, label in zip(logits.flatten(0, 1), target.flatten().tolist(), strict=True):
        if label >= 0:
            right = scores.softmax(dim=0)[label].item()
            share = 0.25 if label > 0 else 0.75
            expected -= share * (1 - right) ** 2 * math.log(right)
    assert losses.SoftmaxFocal()(logits, target).item() == pytest.approx(expected)


def test_soft_scores_by_hand() -> None:
    priors = torch.tensor([[0.5, 0.5, 0.1, 0.1], [0.6, 0.5, 0.1, 0.1], [0.6, 0.9, 0.1, 0.1]])
    boxes = torch.tensor([[[0.3, 0.1, 0.7, 0.9]] * 3])
    distance = centre_distance(priors, boxes)
    torch.testing.assert_close(distance, torch.tensor([[0.0, 0.5, math.sqrt(1.25)]]))
    torch.testing.assert_close(soft_score_1(distance), torch.tensor([[1.0, 0.25, 0.0]]))
    torch.testing.assert_close(soft_score_1(distance, 4), torch.tensor([[1.0, 0.0625, 0.0]]))
    expected = torch.tensor([[1.0, math.exp(-0.125), math.exp(-0.625)]])
    torch.testing.assert_close(soft_score_2(distance), expected)


def test_objectness_losses_by_hand() -> None:
    p, s = 0.3, 0.8
    logit, score = torch.tensor(math.log(p / (1 - p))), torch.tensor(s)
    entropy = -(s * math.log(p) + (1 - s) * math.log(1 - p))
    least = -(s * math.log(s) + (1 - s) * math.log(1 - s))
    assert objectness_loss_1(logit, score).item() == pytest.approx(-(0.2**2) * math.log(0.7))
    assert objectness_loss_2(logit, score).item() == pytest.approx(entropy - least)
    assert objectness_loss_3(logit, score).item() == pytest.approx(0.2 * (entropy - least))
    exact = torch.logit(score)
    assert objectness_loss_2(exact, score).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("score", [1, 2])
@pytest.mark.parametrize("loss", [1, 2, 3])
def test_soft_objectness_against_a_loop(score: int, loss: int) -> None:
    logits, target = random_classes()
    _, _, priors = random_boxes(40)
    corners = torch.tensor([0.1, 0.2, 0.6, 0.9], dtype=torch.float64)
    boxes = corners.expand(3, 40, 4)
    made = losses.SoftObjectness(score=score, loss=loss)
    value = made(logits, target, priors_P4=priors, matched_boxes_BP4=boxes)
    expected = 0.0
    for image in range(3):
        positives = (target[image] > 0).nonzero().flatten().tolist()
        for prior in positives:
            expected -= logits[image, prior].log_softmax(0)[target[image, prior]].item()
        for prior in positives + naive_hard_negatives(logits[image], target[image], 3):
            p = 1 - logits[image, prior].softmax(0)[0].item()
            x, y = priors[prior, :2].tolist()
            d = math.hypot((x - 0.35) / 0.25, (y - 0.55) / 0.35)
            s = ((d - 1) ** 2 if d < 1 else 0.0) if score == 1 else math.exp(-d * d / 2)
            kl = -s * math.log(p) - (1 - s) * math.log(1 - p)
            kl += s * math.log(s) + (1 - s) * math.log(1 - s) if 0 < s < 1 else 0
            expected += {1: -((1 - s) ** 2) * math.log(1 - p), 2: kl, 3: (1 - s) * kl}[loss]
    assert value.item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["Ohem", "SigmoidFocal", "SoftmaxFocal", "SoftObjectness"])
def test_class_losses_stay_finite_and_share_a_signature(name: str) -> None:
    loss = getattr(losses, name)()
    assert loss.needs_geometry == (name == "SoftObjectness")
    _, target = random_classes()
    geometry = {"priors_P4": torch.rand(40, 4), "matched_boxes_BP4": torch.zeros(3, 40, 4)}
    for level in (0.0, 100.0, -100.0, 1e4):
        logits = torch.zeros(3, 40, 4)
        logits[..., 1] = level
        logits.requires_grad_()
        value = loss(logits, target, **geometry)
        value.backward()
        assert value.isfinite()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()
    with pytest.raises(ValueError, match=r"must be \[B, P, C\], \[B, P\]"):
        loss(torch.zeros(3, 40, 4), target[:, :3], **geometry)
    with pytest.raises(TypeError, match="must be integer classes"):
        loss(torch.zeros(3, 40, 4), target.float(), **geometry)


def test_soft_objectness_asks_for_geometry() -> None:
    with pytest.raises(ValueError, match="pass priors_P4 and matched_boxes_BP4"):
        losses.SoftObjectness()(torch.zeros(1, 2, 3), torch.zeros(1, 2, dtype=torch.int64))
