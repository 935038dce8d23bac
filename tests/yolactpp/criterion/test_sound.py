"""Each place where the sound protocol departs from the original's code, and what it changes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import losses
from tests.yolactpp.criterion import made
from yolactpp.criterion.criterion import Criterion
from yolactpp.criterion.positives import draw_permutations, draw_positives, draw_shared
from yolactpp.structures import CROWD, HeadOutputs, Targets


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(11)


def test_images_without_annotations_train(generator):
    outputs = made.outputs(generator, 3)
    images = [made.image(generator, *counts) for counts in ((2, 0), (0, 0), (0, 1))]
    values = made.criterion()(outputs, made.targets_of(images), None)
    assert all(value.isfinite() for value in values.values())
    made_of = made.gradients(values, [outputs.semantic_logits_BCHW])[0]
    assert (made_of.flatten(1).abs().sum(1) > 0).all()


def test_detached_mask_iou_input(generator):
    """The original's mask-IoU loss bends the masks it judges."""
    outputs, net = made.outputs(generator, 1), made.net(generator)
    targets = made.targets_of([made.image(generator, 3)])
    masks = [outputs.coefficients_BPK, outputs.prototypes_BHWK]
    for detach in (True, False):
        values = made.criterion(detach_mask_iou_input=detach)(outputs, targets, net)
        reached = torch.autograd.grad(values["mask_iou"], masks, allow_unused=True)
        assert [each is not None for each in reached] == [not detach] * 2


def test_dead_mask_iou_output_is_trained(generator):
    """Below 0 the last ReLU passes no gradient: the original's net stays there."""
    outputs, net = made.outputs(generator, 1), made.net(generator)
    targets = made.targets_of([made.image(generator, 3)])
    bias = net.layers[-1].bias
    torch.nn.init.constant_(bias, -50.0)
    for before_relu in (True, False):
        values = made.criterion(mask_iou_before_relu=before_relu)(outputs, targets, net)
        (gradient,) = torch.autograd.grad(values["mask_iou"], bias)
        assert bool(gradient.any()) == before_relu


def test_mask_iou_is_the_mean_over_the_masks_looked_at(generator):
    """Objects too small to be looked at do not lower the loss of the others."""
    outputs, net = made.outputs(generator, 1), made.net(generator)
    boxes, labels, masks = made.image(generator, 2)
    alone = made.targets_of([(boxes[:1], labels[:1], masks[:1])])
    masks[1] = 0
    with_small = made.targets_of([(boxes, labels, masks)])
    one, by_samples = (
        made.criterion()(outputs, targets, net)["mask_iou"] for targets in (alone, with_small)
    )
    by_positives = made.criterion(mask_iou_normalised_by_samples=False)
    lowered = by_positives(outputs, with_small, net)["mask_iou"]
    assert lowered < 0.9 * by_samples
    assert_close(by_positives(outputs, alone, net)["mask_iou"], one)


def tiny_box_case(generator: torch.Generator, side: float) -> tuple[HeadOutputs, Targets]:
    outputs = made.outputs(generator, 1)
    low = torch.full((1, 2), 0.5)
    box = torch.cat([low, low + side / made.PROTOTYPES_SIZE], 1)
    mask = torch.zeros(1, made.SIZE, made.SIZE, dtype=torch.uint8)
    return outputs, made.targets_of([(box, torch.tensor([0]), mask)])


def test_boxes_below_a_pixel_do_not_explode(generator):
    """The original divides by the real area: here a hundredth of a pixel."""
    outputs, targets = tiny_box_case(generator, 0.1)
    sound = made.criterion()(outputs, targets, None)["mask"]
    original = made.criterion(min_box_area=0.0)(outputs, targets, None)["mask"]
    assert_close(original, sound / 0.1**2, rtol=1e-4, atol=0)


def test_mask_pixels_outside_their_box(generator):
    """Zeroed probabilities cost 100 at each of them, and no gradient can lower it."""
    outputs = made.outputs(generator, 1)
    boxes, labels, masks = made.image(generator, 1)
    wide = masks.clone()
    wide[:, :8] = 1
    inside, outside = (made.targets_of([(boxes, labels, each)]) for each in (masks, wide))
    sound, original = made.criterion(), made.criterion("zero")
    assert_close(sound(outputs, outside, None)["mask"], sound(outputs, inside, None)["mask"])
    more = original(outputs, outside, None)["mask"] - original(outputs, inside, None)["mask"]
    area = (boxes[0, 2:] - boxes[0, :2]).prod() * made.PROTOTYPES_SIZE**2
    rows_outside = 4 * made.PROTOTYPES_SIZE
    assert_close(more, 6.125 * 100 * rows_outside / area, rtol=1e-4, atol=0)
    gradients = [
        made.gradients(original(outputs, targets, None), [outputs.prototypes_BHWK])[0]
        for targets in (inside, outside)
    ]
    assert_close(gradients[0], gradients[1])


def test_crowd_regions_are_left_out_of_the_semantic_loss(generator):
    outputs = made.outputs(generator, 1)
    boxes, labels, masks = made.image(generator, 1)
    region = torch.zeros_like(masks)
    region[:, :, : made.SIZE // 2] = 1
    crowd = torch.tensor([[0.0, 0.0, 0.5, 1.0]])
    targets = made.targets_of(
        [
            (
                torch.cat([boxes, crowd]),
                torch.cat([labels, torch.tensor([CROWD])]),
                torch.cat([masks, region]),
            )
        ]
    )
    logits = outputs.semantic_logits_BCHW
    for ignores in (True, False):
        values = made.criterion(semantic_ignores_crowds=ignores)(outputs, targets, None)
        (gradient,) = torch.autograd.grad(values["semantic"], logits)
        others = [channel for channel in range(made.CLASSES - 1) if channel != int(labels)]
        in_crowd = gradient[0, others, :, : logits.shape[3] // 2]
        assert bool(in_crowd.any()) == (not ignores)
        assert gradient[0, others, :, logits.shape[3] // 2 :].all()


class Ranks:
    """Sums a tensor over threads that stand for ranks."""

    def __init__(self, count: int) -> None:
        self.barrier = Barrier(count)
        self.values: list[Tensor] = []

    def reduce_sum(self, value: Tensor) -> Tensor:
        self.values.append(value)
        self.barrier.wait(timeout=30)
        return torch.stack(self.values).sum(0)

    def run(self, *jobs: Callable[[], list[Tensor | None]]) -> list[list[Tensor | None]]:
        with ThreadPoolExecutor(len(jobs)) as pool:
            return [done.result(60) for done in [pool.submit(job) for job in jobs]]


@pytest.mark.parametrize("normalise_globally", [True, False])
def test_two_ranks_equal_one_process(generator, normalise_globally):
    """The mean of the ranks' gradients is the global batch's; the original's is another."""
    outputs, net = made.outputs(generator, 3), made.net(generator)
    images = [made.image(generator, *counts) for counts in ((1, 0), (6, 1), (3, 0))]
    leaves = [*made.leaves_of(outputs), *net.parameters()]
    whole = made.criterion()(outputs, made.targets_of(images), net)
    expected = made.gradients(whole, leaves)

    ranks = Ranks(2)
    criterion = made.criterion(reduce_sum=ranks.reduce_sum, normalise_globally=normalise_globally)

    def rank(own: slice) -> Callable[[], list[Tensor | None]]:
        def job() -> list[Tensor | None]:
            values = criterion(made.part(outputs, own), made.targets_of(images[own]), net)
            return made.gradients(values, leaves)

        return job

    each = ranks.run(rank(slice(0, 2)), rank(slice(2, 3)))
    means = [(a + b) / 2 for a, b in zip(*each, strict=True)]
    equal = [
        torch.allclose(m, e, rtol=1e-5, atol=1e-7) for m, e in zip(means, expected, strict=True)
    ]
    assert all(equal) == normalise_globally


def test_the_shared_draw_hangs_on_the_image_alone():
    is_positive_BP = torch.rand(5, 400, generator=torch.Generator().manual_seed(0)) < 0.3

    def drawn(images: slice) -> list[list[int]]:
        torch.manual_seed(1)
        positives = draw_positives(is_positive_BP[images], 20, draw_shared)
        return [sorted(row.tolist()) for row in positives.prior_BK]

    whole = drawn(slice(0, 5))
    assert drawn(slice(3, 5)) == whole[3:]
    torch.manual_seed(1)
    own = draw_positives(is_positive_BP[3:], 20, draw_permutations)
    torch.manual_seed(1)
    all_images = draw_positives(is_positive_BP, 20, draw_permutations)
    assert set(own.prior_BK[0].tolist()) != set(all_images.prior_BK[3].tolist())


@pytest.mark.parametrize("draw", [draw_shared, draw_permutations])
def test_a_draw_takes_positives_up_to_the_cap(draw):
    is_positive_BP = torch.zeros(3, 50, dtype=torch.bool)
    is_positive_BP[0, 3:33] = True
    is_positive_BP[1, 40:44] = True
    positives = draw_positives(is_positive_BP, 10, draw)
    assert positives.is_valid_BK.sum(1).tolist() == [10, 4, 0]
    assert positives.rescaling_B.tolist() == [3, 1, 0]
    for image in range(3):
        chosen = positives.prior_BK[image][positives.is_valid_BK[image]]
        assert len(set(chosen.tolist())) == len(chosen)
        assert is_positive_BP[image, chosen].all()


def test_a_hybrids_first_term_is_rescaled_with_the_others(generator):
    """In the fork alpha shrinks where only some of an image's positives train masks."""
    outputs = made.outputs(generator, 1)
    targets = made.targets_of([made.image(generator, 4)])

    def terms(rescale: bool) -> dict[str, Tensor]:
        criterion = Criterion(
            mask_loss=losses.hybrid(first=losses.Mse(), second=losses.Bce()),
            box_loss=losses.SmoothL1(),
            class_loss=losses.Ohem(),
            masks_to_train=2,
            rescale_first_of_pair=rescale,
        )
        torch.manual_seed(0)
        return criterion(outputs, targets, None)

    sound, fork = terms(True), terms(False)
    assert fork["mask/mse"] < 0.9 * sound["mask/mse"]
    assert_close(fork["mask/bce"], sound["mask/bce"])


def test_wrong_pixels_beyond_rounding_keep_their_gradient():
    """From rounded probabilities a wrong pixel at logit 20 costs 100 and is never put right."""
    logits = torch.full((1, 1, 1), 20.0, requires_grad=True)
    for of_probs, cost, slope in ((False, 20.0, 1.0), (True, 100.0, 0.0)):
        value = losses.bce(logits, torch.zeros(1, 1, 1), of_probs=of_probs).sum()
        (gradient,) = torch.autograd.grad(value, logits)
        assert value.item() == pytest.approx(cost)
        assert gradient.item() == pytest.approx(slope)
