import pytest
import torch
from torch.nn import functional as F

from yolactpp.model.backbone import ResNet, is_deformable
from yolactpp.model.deformable import DeformConv2d


@pytest.mark.parametrize(
    ("blocks", "budget", "interval", "expected"),
    [
        (4, 4, 3, [0, 3]),
        (23, 23, 3, [0, 3, 6, 9, 12, 15, 18, 21]),
        (3, 3, 3, [0]),
        (3, 0, 3, []),
        (6, 6, 1, [0, 1, 2, 3, 4, 5]),
        (6, 2, 1, [4, 5]),
    ],
)
def test_rule_of_deformable_blocks(
    blocks: int, budget: int, interval: int, expected: list[int]
) -> None:
    found = [i for i in range(blocks) if is_deformable(i, blocks, budget, interval)]
    assert found == expected


def test_layers_of_the_original_models() -> None:
    with torch.device("meta"):
        r101 = ResNet()
        r50 = ResNet(blocks=(3, 4, 6, 3), deformable_blocks=(0, 4, 6, 3), deformable_interval=1)
    assert sum(isinstance(m, DeformConv2d) for m in r101.modules()) == 11
    assert sum(isinstance(m, DeformConv2d) for m in r50.modules()) == 13
    assert r50.out_channels == [256, 512, 1024, 2048]


@pytest.mark.parametrize("stride", [1, 2])
def test_deformable_layer_starts_at_half_the_plain_convolution(stride: int) -> None:
    layer = DeformConv2d(4, 6, stride=stride)
    features = torch.randn(2, 4, 9, 8)
    plain = F.conv2d(features, layer.weight, stride=stride, padding=1)
    torch.testing.assert_close(layer(features), 0.5 * plain)
    assert layer.weight.abs().max() <= 1 / 6


def test_strides_and_channels_of_the_stages() -> None:
    backbone = ResNet(block="basic", blocks=(1, 2, 1, 1), width=8, deformable_blocks=(0, 1, 1, 1))
    shapes = [tuple(stage.shape) for stage in backbone(torch.randn(1, 3, 64, 96))]
    assert shapes == [(1, 8, 16, 24), (1, 16, 8, 12), (1, 32, 4, 6), (1, 64, 2, 3)]


def test_batch_norm_from_random_weights_keeps_the_scale() -> None:
    """Activations neither vanish nor explode, whatever the depth: training can start."""
    torch.manual_seed(0)
    backbone = ResNet(
        block="basic",
        blocks=(2, 2, 2, 2),
        width=8,
        deformable_blocks=(0, 2, 2, 2),
        deformable_interval=1,
    )
    for stage in backbone(torch.randn(2, 3, 96, 96)):
        assert 0.2 < stage.std().item() < 5
