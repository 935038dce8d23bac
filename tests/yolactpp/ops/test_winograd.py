"""Winograd's 3×3 convolution is torch's, for every size of map, batch and band."""

import pytest
import torch
from torch.nn import functional as F

from yolactpp.ops import winograd
from yolactpp.ops.winograd import conv3x3, transformed_weight

SIZES = [(1, 1), (1, 9), (4, 4), (5, 8), (13, 6), (17, 18)]


def case(
    batch: int, size: tuple[int, int], dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, 5, *size, generator=generator, dtype=dtype)
    weight = torch.randn(7, 5, 3, 3, generator=generator, dtype=dtype)
    return images, weight, torch.randn(7, generator=generator, dtype=dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("blocks", [1, 4, 400])
def test_it_is_the_convolution(
    size: tuple[int, int], batch: int, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "BLOCKS", blocks)
    images, weight, bias = case(batch, size)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = conv3x3(images.contiguous(memory_format=layout), transformed_weight(weight), bias)
        torch.testing.assert_close(found, F.conv2d(images, weight, bias, padding=1))
        assert found.is_contiguous(memory_format=torch.channels_last)
    plain = conv3x3(images, transformed_weight(weight), None)
    torch.testing.assert_close(plain, F.conv2d(images, weight, padding=1))
    assert plain.is_contiguous(memory_format=torch.channels_last)


def test_float32_is_exact_to_a_few_roundings() -> None:
    images, weight, bias = case(2, (17, 18))
    expected = F.conv2d(images, weight, bias, padding=1)
    found = conv3x3(images.float(), transformed_weight(weight).float(), bias.float())
    assert (found - expected).abs().max() < 3e-5 * expected.abs().max()
