"""A network whose 3×3 convolutions take Winograd's way gives the same outputs."""

import pytest
import torch
from torch import nn

from tests.yolactpp.model.networks import NO_MASK_IOU, make_network
from yolactpp.model.winograd import WinogradConv2d, use_winograd

CONV = nn.Conv2d(128, 128, 3, padding=1)


def test_outputs_are_equal() -> None:
    torch.manual_seed(0)
    network = make_network("yolactpp_r50", 4, 200, NO_MASK_IOU).eval()
    images = torch.randn(1, 3, 200, 200)
    with torch.inference_mode():
        expected = network(images)
        use_winograd(network)
        found = network(images)
    swapped = [part for part in network.modules() if isinstance(part, WinogradConv2d)]
    assert len(swapped) > 5
    for name in ("loc_BP4", "class_logits_BPC", "prototypes_BHWK"):
        difference = (getattr(found, name) - getattr(expected, name)).abs().max()
        assert difference < 1e-4 * getattr(expected, name).abs().max()


def test_it_is_taken_where_it_pays() -> None:
    conv = WinogradConv2d(CONV)
    images = torch.randn(1, 128, 16, 16)
    with torch.no_grad():
        plain = CONV(images)
        assert not torch.equal(conv(images), plain)
        torch.testing.assert_close(conv(images), plain, rtol=1e-4, atol=1e-4)


def test_it_follows_its_weight() -> None:
    images = torch.randn(1, 128, 16, 16)
    conv = WinogradConv2d(nn.Conv2d(128, 128, 3, padding=1))
    conv.load_state_dict({name: 2 * value for name, value in conv.state_dict().items()})
    with torch.no_grad():
        torch.testing.assert_close(conv(images), conv.conv(images), rtol=1e-4, atol=1e-4)
        conv.train()
        assert torch.equal(conv(images), conv.conv(images))
        conv.conv.weight.mul_(2)
        conv.eval()
        torch.testing.assert_close(conv(images), conv.conv(images), rtol=1e-4, atol=1e-4)


def test_putting_it_in_twice_changes_nothing() -> None:
    network = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1))
    use_winograd(network)
    first = network[0]
    use_winograd(network)
    assert network[0] is first
    assert network(torch.randn(1, 128, 16, 16)).shape == (1, 128, 16, 16)


@pytest.mark.parametrize("why", ["gradients", "bf16", "autocast", "a small map"])
def test_elsewhere_it_is_the_plain_convolution(why: str) -> None:
    images = torch.randn(1, 128, 16, 15 if why == "a small map" else 16)
    plain, conv = CONV, WinogradConv2d(CONV)
    if why == "bf16":
        plain = nn.Conv2d(128, 128, 3, padding=1).bfloat16()
        images, conv = images.bfloat16(), WinogradConv2d(plain)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast")
    with torch.set_grad_enabled(why == "gradients"), autocast:
        assert torch.equal(conv(images), plain(images))


@pytest.mark.parametrize(
    "other",
    [
        nn.Conv2d(128, 128, 3, padding=1, stride=2),
        nn.Conv2d(128, 128, 3, padding=2, dilation=2),
        nn.Conv2d(128, 128, 1),
        nn.Conv2d(128, 127, 3, padding=1),
        nn.Conv2d(128, 128, 3, padding=1, groups=2),
        nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect"),
    ],
)
def test_other_convolutions_stay(other: nn.Conv2d) -> None:
    network = nn.Sequential(other, nn.Sequential(nn.Conv2d(128, 128, 3, padding=1)))
    use_winograd(network)
    assert network[0] is other
    assert isinstance(network[1][0], WinogradConv2d)
