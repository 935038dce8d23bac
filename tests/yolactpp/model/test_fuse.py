"""A network with its batch norms folded in gives the same outputs, and leaves the first alone."""

import pytest
import torch
from torch import nn

from tests.yolactpp.model.networks import make_network
from yolactpp.model.fuse import fused
from yolactpp.model.network import YolactppNetwork


def tiny_network(*overrides: str) -> YolactppNetwork:
    return make_network("yolactpp_tiny", 4, 64, "model.network.mask_iou_channels=[8]", *overrides)


def with_statistics(network: YolactppNetwork) -> YolactppNetwork:
    """Batch norms that do something: no scale is 1, no mean or shift 0."""
    torch.manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_outputs_are_equal(block: str) -> None:
    network = with_statistics(tiny_network(f"model.backbone.block={block}"))
    images = torch.randn(2, 3, 64, 64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        expected, found = network(images), fused(network)(images)
    for name in ("loc_BP4", "class_logits_BPC", "coefficients_BPK", "prototypes_BHWK"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), rtol=1e-4, atol=1e-5
        )
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_no_batch_norm_is_left() -> None:
    network = fused(with_statistics(tiny_network()))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_fusing_twice_is_fusing_once(block: str) -> None:
    once = fused(with_statistics(tiny_network(f"model.backbone.block={block}")))
    twice = fused(once)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(twice(images).loc_BP4, once(images).loc_BP4)


def test_a_training_network_is_refused() -> None:
    with pytest.raises(ValueError, match="eval"):
        fused(tiny_network().train())
