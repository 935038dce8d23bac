from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from tests.yolactpp.model.networks import make_network
from yolactpp.model.yolactpp import YolactPP
from yolactpp.structures import Detections, HeadOutputs, Targets


class SpyCriterion(nn.Module):
    def forward(self, outputs: HeadOutputs, targets: Targets, net, progress) -> dict[str, Tensor]:
        self.seen = (outputs, targets, net, progress)
        return {"class": outputs.class_logits_BPC.sum()}


class SpyDetector:
    def __call__(self, outputs, sizes_hw, net, stopwatch) -> list[Detections]:
        self.seen = (outputs, sizes_hw, net, stopwatch)
        return []


@pytest.fixture
def segmenter() -> YolactPP:
    return YolactPP(make_network("yolactpp_tiny", 2, 64), SpyCriterion(), SpyDetector())


def test_training_hands_outputs_to_the_criterion(segmenter: YolactPP) -> None:
    targets = Targets.from_images(
        [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0, 64, 64)]
    )
    losses = segmenter(torch.randn(1, 3, 64, 64), targets, 0.25)
    outputs, seen_targets, net, progress = segmenter.criterion.seen
    assert outputs.semantic_logits_BCHW is not None
    assert seen_targets is targets
    assert net is segmenter.network.mask_iou
    assert progress == 0.25
    losses["class"].backward()
    assert segmenter.network.backbone.conv1.weight.grad is not None


def test_detection_needs_no_gradient_and_times_the_forward_pass(segmenter: YolactPP) -> None:
    stages = []

    @contextmanager
    def stopwatch(stage: str):
        stages.append(stage)
        yield

    assert segmenter.eval().detect(torch.randn(1, 3, 64, 64), [(90, 70)], stopwatch) == []
    outputs, sizes_hw, net, handed_on = segmenter.detector.seen
    assert not outputs.loc_BP4.requires_grad
    assert outputs.semantic_logits_BCHW is None
    assert sizes_hw == [(90, 70)]
    assert net is segmenter.network.mask_iou
    assert handed_on is stopwatch
    assert stages == ["forward"]


def test_freezing_reaches_the_network(segmenter: YolactPP) -> None:
    segmenter.freeze_batch_norm()
    segmenter.train()
    norms = [m for m in segmenter.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training or norm.weight.requires_grad for norm in norms)
