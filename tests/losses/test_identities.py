"""Losses that are one loss in disguise."""

import pytest
import torch

import losses
from tests.losses.cases import random_case

SHAPES = [(1, 1, 1), (3, 5, 7), (2, 16, 9)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_identities(shape: tuple[int, int, int], soft: bool, weighted: bool) -> None:
    logits, target, weight = random_case(shape, soft=soft)
    given = (logits, target, weight if weighted else None)
    plain = losses.bce(*given)
    uneven = losses.tversky(*given, fp_weight=0.3, fn_weight=0.7)
    same = [
        (losses.focal(*given, gamma=0.0, alpha=None), plain),
        (losses.poly1(*given, epsilon=0.0), plain),
        (losses.label_smoothing_bce(*given, smoothing=0.0), plain),
        (losses.weighted_bce(*given, positive_weight=1.0), plain),
        (losses.border_bce(*given, w0=0.0), plain),
        (losses.topk_bce(*given, k=100.0), plain),
        (losses.tversky(*given), losses.dice(*given)),
        (losses.tversky(*given, fp_weight=1.0, fn_weight=1.0), losses.jaccard(*given)),
        (losses.focal_tversky(*given, gamma=1.0), uneven),
        (losses.combo(*given, alpha=1.0), plain),
        (losses.combo(*given, alpha=0.0), losses.dice(*given)),
    ]
    for delta in (1.0, 2.0, 3.0):
        same.append((losses.huber(*given, delta=delta), losses.mse(*given) / 2))
    score = 1 - losses.jaccard(*given)
    same.append((1 - losses.dice(*given), 2 * score / (1 + score)))
    for one, other in same:
        torch.testing.assert_close(one, other)


def test_hard_topk_is_a_sort() -> None:
    logits, target, weight = random_case((4, 9, 9))
    pixels = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    for k in (0.5, 10.0, 33.0):
        for each in (None, weight):
            value = losses.topk_bce(logits, target, each, k=k)
            for i in range(4):
                own = pixels[i].flatten() if each is None else pixels[i][each[i] > 0]
                count = max(1, int(len(own) * k / 100))
                torch.testing.assert_close(value[i], own.sort().values[-count:].mean())


def test_topk_shares_ties() -> None:
    """Before training all pixels tie: each must get its share of the gradient, not the first k."""
    logits = torch.zeros(1, 4, 5, requires_grad=True)
    losses.topk_bce(logits, torch.zeros(1, 4, 5)).sum().backward()
    torch.testing.assert_close(logits.grad, torch.full((1, 4, 5), 0.5 / 20))


def test_bce_of_probabilities_is_the_clamped_form() -> None:
    logits = torch.tensor([[[40.0, -3.0, 0.5]]])
    target = torch.tensor([[[0.0, 1.0, 1.0]]])
    probs = torch.sigmoid(logits)
    expected = torch.nn.functional.binary_cross_entropy(probs, target)
    assert losses.bce(logits, target, of_probs=True).item() == pytest.approx(expected.item())
    assert losses.bce(logits, target).item() != pytest.approx(expected.item())
