"""Terms evaluated in the windows of their boxes alone equal those over the whole maps."""

import pytest
import torch
from torch import Tensor

import losses
from losses import windows
from losses.regions import BoxRegion
from losses.terms import Term
from tests.losses.cases import FUNCTIONS

HEIGHT, WIDTH = 40, 30
# Inside, over the edge, a point, ends in the wrong order, the whole map, twice the same.
BOXES = torch.tensor(
    [
        [0.2, 0.3, 0.5, 0.9],
        [-0.1, 0.8, 0.4, 1.3],
        [0.5, 0.5, 0.5, 0.5],
        [0.9, 0.7, 0.6, 0.1],
        [0.0, 0.0, 1.0, 1.0],
        [0.2, 0.3, 0.5, 0.9],
    ],
    dtype=torch.float64,
)
LOCAL = [name for name, function in FUNCTIONS.items() if not function.looks_outside]  # type: ignore[attr-defined]


@pytest.fixture
def maps() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    shape = (len(BOXES), HEIGHT, WIDTH)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64) * 3
    return logits, (torch.rand(shape, generator=generator) > 0.5).double()


def test_which_losses_look_outside() -> None:
    assert set(FUNCTIONS) - set(LOCAL) == {"border_bce", "boundary", "boundary_iou", "hausdorff_dt"}


@pytest.mark.parametrize("name", LOCAL)
def test_value_and_gradient_are_those_of_the_whole_maps(
    name: str, maps: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, target = maps
    term = losses.MaskLoss({name: Term(FUNCTIONS[name])})
    found = []
    for least in (1 << 30, 0):
        monkeypatch.setattr(windows, "_WORTH_WHILE", least)
        scores = logits.clone().requires_grad_()
        (value,) = term(scores, target, BOXES)
        weight = torch.arange(1.0, len(BOXES) + 1, dtype=torch.float64)
        (gradient,) = torch.autograd.grad((value.raw_N * weight).sum(), scores)
        found.append((value.raw_N, gradient))
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-12)


def test_windows_hold_each_box_once() -> None:
    region = BoxRegion(BOXES, HEIGHT, WIDTH)
    count = torch.zeros(len(BOXES) * HEIGHT * WIDTH, dtype=torch.int64)
    seen = []
    for part in region.windows:
        seen += part.instance_n.tolist()
        count.index_add_(
            0,
            part.pixel_nhw[part.inside_nhw],
            torch.ones_like(count)[:1].expand(int(part.inside_nhw.sum())),
        )
        assert part.pixel_nhw.flatten(1).unique(dim=1).shape[1] == part.pixel_nhw[0].numel()
    assert sorted(seen) == list(range(len(BOXES)))
    assert torch.equal(count.view(region.inside_NHW.shape), region.inside_NHW.long())


def test_no_instances_give_no_values(
    maps: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_WORTH_WHILE", 0)
    logits, target = maps
    scores = logits[:0].requires_grad_()
    (value,) = losses.single(losses.Bce())(scores, target[:0], BOXES[:0])
    (gradient,) = torch.autograd.grad(value.raw_N.sum(), scores)
    assert value.raw_N.shape == (0,)
    assert gradient.shape == scores.shape


def test_what_is_outside_is_never_looked_at(
    maps: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_WORTH_WHILE", 0)
    looked = []

    def counting(logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        looked.append(logits.numel())
        return losses.bce(logits, target, weight)

    counting.looks_outside, counting.kind = False, "pixel"  # type: ignore[attr-defined]
    logits, target = maps
    Term(counting)(logits[:1], target[:1], BOXES[:1], BoxRegion(BOXES[:1], HEIGHT, WIDTH))
    assert sum(looked) < HEIGHT * WIDTH / 2


def test_a_loss_that_does_not_say_is_given_whole_maps(
    maps: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_WORTH_WHILE", 0)
    shapes = []

    def bare(logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        shapes.append(logits.shape)
        return losses.bce(logits, target, weight)

    logits, target = maps
    Term(bare)(logits, target, BOXES, BoxRegion(BOXES, HEIGHT, WIDTH))
    assert shapes == [logits.shape]
