"""The criterion against its loop reference; its edges: no objects, static shapes, precision."""

import pytest
import torch
from torch.testing import assert_close

import losses
from tests.references.criterion import criterion_loops
from tests.yolactpp.criterion import made
from yolactpp.criterion.criterion import Criterion

YOLACT = {
    "detach_mask_iou_input": False,
    "mask_iou_before_relu": False,
    "mask_iou_normalised_by_samples": False,
    "semantic_ignores_crowds": False,
}


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize("static_shapes", [False, True])
def test_equals_the_loop_reference(generator, static_shapes):
    outputs = made.outputs(generator, 4)
    images = [made.image(generator, *counts) for counts in ((3, 0), (1, 1), (6, 2), (2, 0))]
    targets, net = made.targets_of(images), made.net(generator)
    criterion = made.criterion("zero", 0.0, static_shapes=static_shapes, **YOLACT)
    ours, theirs = criterion(outputs, targets, net), criterion_loops(outputs, targets, net)
    leaves = [*made.leaves_of(outputs), *net.parameters()]
    for key, value in theirs.items():
        assert_close(ours[key], value, rtol=1e-5, atol=1e-6, msg=lambda m, key=key: f"{key}: {m}")
    expected = made.gradients(theirs, leaves)
    for index, (a, b) in enumerate(zip(made.gradients(ours, leaves), expected, strict=True)):
        assert_close(a, b, rtol=1e-4, atol=1e-6, msg=lambda m, index=index: f"{index}: {m}")


@pytest.mark.parametrize("protocol", [{}, YOLACT])
def test_static_shapes_change_nothing(generator, protocol):
    outputs = made.outputs(generator, 3)
    images = [made.image(generator, *counts) for counts in ((5, 1), (0, 0), (2, 0))]
    targets, net = made.targets_of(images), made.net(generator)
    leaves = [*made.leaves_of(outputs), *net.parameters()]
    results = []
    for static_shapes in (False, True):
        torch.manual_seed(0)
        criterion = made.criterion(static_shapes=static_shapes, masks_to_train=4, **protocol)
        values = criterion(outputs, targets, net)
        results.append((values, made.gradients(values, leaves)))
    (values, gradients), (static_values, static_gradients) = results
    assert values.keys() == static_values.keys()
    for key, value in values.items():
        assert_close(static_values[key], value, msg=lambda m, key=key: f"{key}: {m}")
    for a, b in zip(static_gradients, gradients, strict=True):
        assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("static_shapes", [False, True])
@pytest.mark.parametrize("counts", [[(0, 0), (0, 0)], [(0, 2), (0, 1)], [(0, 1), (0, 0)]])
def test_batches_without_objects_give_finite_zeros(generator, counts, static_shapes):
    outputs, net = made.outputs(generator, len(counts)), made.net(generator)
    targets = made.targets_of([made.image(generator, *each) for each in counts])
    criterion = made.criterion(static_shapes=static_shapes)
    values = criterion(outputs, targets, net)
    for key in ("box", "class", "mask", "mask_iou"):
        assert values[key].item() == 0
    assert values["semantic"] > 0
    leaves = [*made.leaves_of(outputs), *net.parameters()]
    for gradient in made.gradients(values, leaves):
        assert gradient is not None
        assert gradient.isfinite().all()


def test_every_parameter_gets_a_gradient_where_no_mask_is_large(generator):
    outputs, net = made.outputs(generator, 1), made.net(generator)
    targets = made.targets_of([made.image(generator, 3)])
    values = made.criterion(smallest_mask_iou_area=1e6)(outputs, targets, net)
    assert values["mask_iou"].item() == 0
    for gradient in made.gradients(values, list(net.parameters())):
        assert gradient is not None
        assert not gradient.any()


def test_learned_weights_and_logged_terms(generator):
    outputs = made.outputs(generator, 1)
    targets = made.targets_of([made.image(generator, 3)])
    mask_loss = losses.hybrid(first=losses.Mse(), second=losses.Bce(), alpha=losses.Learned())
    criterion = Criterion(mask_loss=mask_loss, box_loss=losses.SmoothL1(), class_loss=losses.Ohem())
    values = criterion(outputs, targets, None)
    weighted = [value for key, value in values.items() if key.endswith("_weighted")]
    assert_close(torch.stack(weighted).sum(), values["mask"])
    assert {"mask/mse", "mask/bce"} <= values.keys()
    assert "mask_iou" not in values
    assert not values["mask/mse"].requires_grad
    values["mask"].backward()
    assert all(value.grad is not None for value in criterion.parameters())


def test_weights_scale_their_losses(generator):
    outputs, net = made.outputs(generator, 2), made.net(generator)
    targets = made.targets_of([made.image(generator, 3), made.image(generator, 1)])
    plain = made.criterion()(outputs, targets, net)
    names = ("box", "class", "mask", "semantic", "mask_iou")
    usual = (1.5, 1.0, 6.125, 1.0, 25.0)
    doubled = {f"{name}_weight": 2 * weight for name, weight in zip(names, usual, strict=True)}
    twice = made.criterion(**doubled)(outputs, targets, net)
    for name in names:
        assert_close(twice[name], 2 * plain[name])


def test_half_precision_outputs_are_computed_in_float32(generator):
    outputs = made.outputs(generator, 1)
    targets = made.targets_of([made.image(generator, 3)])
    halves = type(outputs)(*(value.to(torch.bfloat16) for value in vars(outputs).values()))
    halves.priors_P4 = outputs.priors_P4
    singles = type(outputs)(*(value.float() for value in vars(halves).values()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = made.criterion()(halves, targets, None)
    expected = made.criterion()(singles, targets, None)
    for key, value in expected.items():
        assert ours[key].dtype == torch.float32
        assert_close(ours[key], value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"masks_to_train": 0}, "masks_to_train=0: give at least 1"),
        ({"positive_iou": 0.3}, "negative_iou=0.4 and positive_iou=0.3"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        made.criterion(**arguments)
