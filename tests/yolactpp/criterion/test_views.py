"""Views of masks for the mask-IoU net against whole masks."""

import pytest
import torch
from torch.testing import assert_close

from tests.yolactpp.criterion import made
from yolactpp.criterion import views
from yolactpp.criterion.mask_iou import Masks, mask_iou_losses
from yolactpp.criterion.views import sorted_views
from yolactpp.model.mask_iou import MaskIouNet


def random_boxes(count: int, generator: torch.Generator) -> torch.Tensor:
    """Of all sizes, some empty, inverted or partly outside."""
    centres = torch.rand(count, 2, generator=generator) * 1.2 - 0.1
    sides = torch.rand(count, 2, generator=generator) ** 3 * 1.2 - 0.05
    return torch.cat([centres - sides / 2, centres + sides / 2], 1)


@pytest.mark.parametrize(("height", "width"), [(48, 48), (41, 60), (15, 33)])
@pytest.mark.parametrize("detach_input", [True, False])
def test_views_equal_whole_masks(monkeypatch, height, width, detach_input):
    monkeypatch.setattr(views, "_FEW_BLOCKS", 0)
    monkeypatch.setattr(views, "_CPU_BLOCK", 3000)
    generator = torch.Generator().manual_seed(2)
    net = MaskIouNet((4, 6, 8), made.CLASSES - 1)
    boxes = random_boxes(300, generator)
    logits = torch.randn(300, height, width, generator=generator).requires_grad_()
    target = torch.rand(300, height, width, generator=generator) < 0.3
    label = torch.randint(0, made.CLASSES - 1, (300,), generator=generator)
    chosen = (torch.rand(300, generator=generator) < 0.8).nonzero().flatten()
    every = torch.arange(300)
    masks = Masks(logits, boxes, label, every, target, target.sum((1, 2)), chosen)
    leaves = [*net.parameters()] + ([] if detach_input else [logits])
    results = []
    for static_shapes in (False, True):
        losses = mask_iou_losses(
            net,
            masks,
            detach_input=detach_input,
            before_relu=True,
            static_shapes=static_shapes,
        )
        results.append((losses.sort().values, torch.autograd.grad(losses.sum(), leaves)))
    (viewed, viewed_gradients), (whole, whole_gradients) = results
    assert_close(viewed, whole)
    for index, (a, b) in enumerate(zip(viewed_gradients, whole_gradients, strict=True)):
        assert_close(a, b, rtol=1e-4, atol=1e-4, msg=lambda m, index=index: f"{index}: {m}")


def test_views_cover_every_mask_in_few_calls(monkeypatch):
    monkeypatch.setattr(views, "_FEW_BLOCKS", 0)
    boxes = random_boxes(500, torch.Generator().manual_seed(0))
    order, made_views = sorted_views(boxes, 138, 138, 63)
    assert sorted(order.tolist()) == list(range(500))
    assert sum(view.masks for view in made_views) == 500
    shown = sum(view.masks * view.seen_height * view.seen_width for view in made_views)
    assert shown < 0.7 * 500 * 138 * 138
    assert len({(str(view.rows), str(view.columns)) for view in made_views}) <= 36


def test_no_masks_make_one_empty_view():
    order, made_views = sorted_views(torch.zeros(0, 4), 40, 40, 15)
    assert len(order) == 0
    assert [(view.masks, view.is_whole) for view in made_views] == [(0, True)]
