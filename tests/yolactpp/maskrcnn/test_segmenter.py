import pytest
import torch
from torch import nn

from tests.test_conf import options
from tests.yolactpp.maskrcnn.made import CLASSES, SIZE, make_batch, make_segmenter
from yolactpp.engine.failures import BadInputError
from yolactpp.maskrcnn.ground_truth import ground_truth
from yolactpp.structures import Targets


def total(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack([value for name, value in losses.items() if "/" not in name]).sum()


@pytest.mark.parametrize("loss", options("loss"))
@pytest.mark.filterwarnings("ignore::losses.regression.HuberIsHalfMse")
def test_every_mask_loss_takes_the_place_of_bce(loss: str) -> None:
    segmenter = make_segmenter(f"loss={loss}").train()
    images_B3HW, targets = make_batch()
    losses = segmenter.training_losses(images_B3HW, targets, progress=0.5)
    assert {"class", "box", "mask", "rpn_class", "rpn_box"} == {n for n in losses if "/" not in n}
    weighted = [value for name, value in losses.items() if name.endswith("_weighted")]
    torch.testing.assert_close(torch.stack(weighted).sum(), losses["mask"].detach())
    total(losses).backward()
    gradients = [
        parameter.grad for parameter in segmenter.network.roi_heads.mask_predictor.parameters()
    ]
    assert all(each is not None and each.isfinite().all() for each in gradients)
    assert any(each.abs().sum() > 0 for each in gradients)


def test_the_mask_loss_looks_at_the_true_category_alone() -> None:
    """Only the third image's disc, of label 1: class 2's logits learn, the others' do not."""
    segmenter = make_segmenter().train()
    images_B3HW, targets = make_batch()
    only = Targets(
        targets.boxes_BM4[2:], targets.labels_BM[2:], targets.masks_GHW[2:], torch.tensor([0])
    )
    segmenter.training_losses(images_B3HW[2:], only)["mask"].backward()
    weight = segmenter.network.roi_heads.mask_predictor.mask_fcn_logits.weight
    assert weight.grad.flatten(1).abs().sum(dim=1).gt(0).tolist() == [False, False, True]


@pytest.mark.parametrize("option", options("class_loss"))
def test_every_class_loss_trains_the_regions(option: str) -> None:
    segmenter = make_segmenter(f"class_loss={option}").train()
    loss = segmenter.training_losses(*make_batch())["class"]
    loss.backward()
    weight = segmenter.network.roi_heads.box_predictor.cls_score.weight
    assert loss > 0
    assert weight.grad.isfinite().all()
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize("option", options("box_loss"))
def test_every_box_loss_trains_the_regions(option: str) -> None:
    loss = make_segmenter(f"box_loss={option}").train().training_losses(*make_batch())["box"]
    assert loss > 0


def test_no_object_gives_finite_losses_and_a_gradient_for_everything() -> None:
    segmenter = make_segmenter().train()
    nothing = Targets.from_images(
        [torch.zeros(0, 4)] * 2,
        [torch.zeros(0, dtype=torch.int64)] * 2,
        [torch.zeros(0, SIZE, SIZE, dtype=torch.uint8)] * 2,
    )
    losses = segmenter.training_losses(torch.randn(2, 3, SIZE, SIZE), nothing)
    assert losses["mask"] == losses["box"] == 0
    total(losses).backward()
    for name, parameter in segmenter.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_crowds_and_boxes_without_area_are_left_out() -> None:
    _, targets = make_batch(crowd=True)
    targets.boxes_BM4[2, 0, 2] = targets.boxes_BM4[2, 0, 0]
    first, second, third = ground_truth(targets, SIZE, SIZE)
    assert first["labels"].tolist() == [1, 2]
    assert first["masks"].shape == (2, SIZE, SIZE)
    assert first["boxes"][0].tolist() == [8.0, 12.0, 32.0, 36.0]
    assert len(second["labels"]) == len(third["labels"]) == 0


def test_the_mask_loss_is_divided_by_all_ranks_objects() -> None:
    """Two ranks, the other with three times as many objects: half of the mean is left."""
    segmenter = make_segmenter().train()
    images_B3HW, targets = make_batch()
    torch.manual_seed(3)
    alone = segmenter.training_losses(images_B3HW, targets)["mask"]
    segmenter.criterion.reduce_sum = lambda own: own + own * own.new_tensor([3.0, 1.0])
    torch.manual_seed(3)
    torch.testing.assert_close(segmenter.training_losses(images_B3HW, targets)["mask"], alone / 2)


def test_bfloat16_gives_nearly_the_same_losses() -> None:
    segmenter = make_segmenter().train()
    images_B3HW, targets = make_batch()
    torch.manual_seed(3)
    expected = segmenter.training_losses(images_B3HW, targets)
    torch.manual_seed(3)
    with torch.autocast("cpu", torch.bfloat16):
        found = segmenter.training_losses(images_B3HW, targets)
    assert found["mask"].dtype == torch.float32
    torch.testing.assert_close(total(found), total(expected), rtol=0.1, atol=0)


def test_frozen_batch_norm_learns_nothing_and_stays_so() -> None:
    segmenter = make_segmenter()
    segmenter.freeze_batch_norm()
    segmenter.train()
    norms = [each for each in segmenter.modules() if isinstance(each, nn.BatchNorm2d)]
    before = [each.running_mean.clone() for each in norms]
    segmenter.training_losses(*make_batch())
    assert len(norms) > 5
    assert not any(each.training or each.weight.requires_grad for each in norms)
    assert all(torch.equal(a, b.running_mean) for a, b in zip(before, norms, strict=True))


def test_detections_return_to_the_original_sizes() -> None:
    segmenter = make_segmenter("model.detector.max_detections=7").eval()
    segmenter.detector.least_score = 0.0
    sizes = [(50, 90), (200, 30)]
    stages: list[str] = []

    class Names:
        def __call__(self, stage: str) -> torch.autograd.profiler.record_function:
            stages.append(stage)
            return torch.autograd.profiler.record_function(stage)

    found = segmenter.detect(torch.randn(2, 3, SIZE, SIZE), sizes, Names())
    assert stages == ["forward", "detection", "masks"]
    for each, (height, width) in zip(found, sizes, strict=True):
        assert len(each) == 7
        assert each.masks_NHW.shape == (7, height, width)
        assert each.boxes_N4[:, 2].max() <= width
        assert each.boxes_N4[:, 3].max() <= height
        assert (each.scores_N.diff() <= 0).all()
        assert each.labels_N.max() < CLASSES


def test_an_image_may_hold_no_detection() -> None:
    segmenter = make_segmenter("model.detector.confidence_threshold=1.0").eval()
    (found,) = segmenter.detect(torch.randn(1, 3, SIZE, SIZE), [(40, 30)])
    assert len(found) == 0
    assert found.masks_NHW.shape == (0, 40, 30)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.network.anchor_sizes=[8,16]", r"anchor_sizes=\[8, 16\]: give one for each of 5"),
        ("model.network.proposals_after_nms=[0,1]", r"proposals_after_nms=\[0, 1\]"),
        ("model.detector.nms_threshold=2", r"nms_threshold=2: give a number from 0 to 1"),
        ("model.detector.max_detections=0", r"max_detections=0: give at least 1"),
    ],
)
def test_values_out_of_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        make_segmenter(override)
