"""Enlarging masks inside their windows equals enlarging the whole; so do their encodings."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from torch.nn import functional

from yolactpp.ops.mask_crops import enlarge_whole, enlarge_windows
from yolactpp.ops.rle import encode_masks, encode_window

# Distance from 0.5 within which float32 rounding may decide differently.
ROUNDING = 1e-6


def blobs(seed: int, number: int, shape: tuple[int, int]) -> torch.Tensor:
    """Smooth soft masks, some cut off by boxes, the last one nowhere above 0.5."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(number, 1, 6, 5, generator=generator) * 3
    soft = functional.interpolate(noise, shape, mode="bicubic").sigmoid()[:, 0]
    soft[::2, : shape[0] // 3] = 0
    soft[::3, :, shape[1] // 2 :] = 0
    soft[-1] = 0.4
    return soft


@pytest.mark.parametrize(
    ("source", "target"),
    [((30, 28), (211, 97)), ((138, 138), (550, 550)), ((40, 40), (20, 33)), ((9, 7), (9, 7))],
)
def test_windows_equal_the_whole(source: tuple[int, int], target: tuple[int, int]) -> None:
    soft = blobs(0, 9, source)
    values = functional.interpolate(soft[:, None], target, mode="bilinear")[:, 0]
    differs = enlarge_whole(soft, target) != enlarge_windows(soft, target).full()
    assert not (differs & ((values - 0.5).abs() > ROUNDING)).any()
    assert differs.sum() <= 2


def test_encoding_windows_equals_encoding_full_masks_with_pycocotools() -> None:
    crops = enlarge_windows(blobs(1, 8, (30, 28)), (211, 97))
    full = crops.full().numpy()
    expected = coco_mask.encode(np.asfortranarray(full.transpose(1, 2, 0).astype(np.uint8)))
    decoded = [each["counts"].decode() for each in expected]
    assert [each["counts"] for each in crops.encode()] == decoded
    assert [each["counts"] for each in encode_masks(crops.full())] == decoded


@pytest.mark.parametrize(
    ("rows", "columns"),
    [((0, 6), (0, 5)), ((0, 6), (1, 3)), ((2, 6), (1, 4)), ((0, 3), (4, 5)), ((5, 6), (4, 5))],
)
def test_windows_at_the_border(rows: tuple[int, int], columns: tuple[int, int]) -> None:
    """Runs continue from a column's bottom to the next one's top."""
    mask = np.zeros((6, 5), dtype=bool)
    mask[slice(*rows), slice(*columns)] = True
    window = mask[slice(*rows), slice(*columns)]
    rle = encode_window(window, rows[0], columns[0], (6, 5))
    np.testing.assert_array_equal(coco_mask.decode(rle), mask)
    expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert rle["counts"] == expected["counts"].decode()


def test_random_windows_equal_pycocotools() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        height, width = random.integers(1, 12, size=2)
        mask = random.random((height, width)) < random.random()
        expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
        assert encode_window(mask, 0, 0, (height, width))["counts"] == expected
        assert encode_masks(torch.from_numpy(mask)[None])[0]["counts"] == expected


def test_no_masks_at_all() -> None:
    assert encode_masks(torch.zeros(0, 5, 5, dtype=torch.bool)) == []
    assert enlarge_windows(torch.zeros(0, 4, 4), (8, 8)).full().shape == (0, 8, 8)
    assert enlarge_whole(torch.zeros(0, 4, 4), (8, 8)).shape == (0, 8, 8)
