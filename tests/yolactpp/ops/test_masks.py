"""Cropping, down-sampling and assembling of masks."""

import pytest
import torch
from torch.nn.functional import interpolate
from torch.testing import assert_close

from tests.golden import load_npz
from yolactpp.ops.masks import assemble_masks, crop_mask_NHW, downsample_masks


def test_golden_crop():
    golden = load_npz("boxes.npz")
    boxes = torch.from_numpy(golden["crop_boxes"])
    for name, padding in (("crop_keep_mask", 1), ("crop_keep_mask_pad0", 0)):
        expected = torch.from_numpy(golden[name]).permute(2, 0, 1).bool()
        assert torch.equal(crop_mask_NHW(boxes, *expected.shape[1:], padding=padding), expected)


def test_crop_keeps_real_edges():
    box = torch.tensor([[0.25, 0.3, 0.55, 0.7]])
    kept = crop_mask_NHW(box, 10, 10, padding=0)[0]
    assert kept.any(0).nonzero().flatten().tolist() == [3, 4, 5]
    assert kept.any(1).nonzero().flatten().tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [((550, 550), (138, 138)), ((128, 128), (64, 64)), ((112, 96), (64, 70)), ((30, 20), (41, 20))],
)
def test_downsampling_equals_interpolation(source, wanted):
    generator = torch.Generator().manual_seed(0)
    smooth = interpolate(torch.rand(6, 1, 9, 9, generator=generator), source, mode="bicubic")[:, 0]
    masks = torch.cat([smooth > 0.5, torch.rand(2, *source, generator=generator) > 0.5])
    expected = interpolate(masks[:, None].float(), wanted, mode="bilinear")[:, 0] > 0.5
    assert torch.equal(downsample_masks(masks.to(torch.uint8), *wanted), expected)


def test_downsampling_of_no_masks():
    assert downsample_masks(torch.zeros(0, 8, 8, dtype=torch.uint8), 4, 4).shape == (0, 4, 4)


def test_assembling_equals_a_sum_over_prototypes():
    prototypes, coefficients = torch.rand(2, 5, 6, 3), torch.randn(2, 4, 3)
    expected = sum(
        coefficients[:, :, k, None, None] * prototypes[:, None, :, :, k] for k in range(3)
    )
    assert_close(assemble_masks(prototypes, coefficients), expected)
    assert assemble_masks(prototypes, coefficients[:, :0]).shape == (2, 0, 5, 6)
