"""Pyramid, protonet and head against the same computed piece by piece."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from yolactpp.model.fpn import FeaturePyramid
from yolactpp.model.head import PredictionHead
from yolactpp.model.protonet import Protonet


def test_pyramid_levels() -> None:
    pyramid = FeaturePyramid([3, 5], 4, extra_levels=2)
    fine, coarse = torch.randn(1, 3, 9, 7), torch.randn(1, 5, 5, 4)
    levels = pyramid([fine, coarse])
    merged_coarse = pyramid.lateral[0](coarse)
    enlarged = F.interpolate(merged_coarse, (9, 7), mode="bilinear", align_corners=False)
    merged_fine = pyramid.lateral[1](fine) + enlarged
    torch.testing.assert_close(levels[0], F.relu(pyramid.output[1](merged_fine)))
    torch.testing.assert_close(levels[1], F.relu(pyramid.output[0](merged_coarse)))
    torch.testing.assert_close(levels[2], pyramid.downsample[0](levels[1]))
    torch.testing.assert_close(levels[3], pyramid.downsample[1](levels[2]))
    assert [tuple(level.shape[2:]) for level in levels] == [(9, 7), (5, 4), (3, 2), (2, 1)]
    assert levels[2].min() < 0


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_prototypes_are_channels_last_and_not_negative(factor: int) -> None:
    protonet = Protonet(4, 6, prototypes=5, upsampling=factor)
    prototypes = protonet(torch.randn(2, 4, 3, 7))
    assert prototypes.shape == (2, 3 * factor, 7 * factor, 5)
    assert prototypes.is_contiguous()
    assert prototypes.min() >= 0


def test_head_orders_level_row_column_anchor() -> None:
    head = PredictionHead(4, anchors=3, num_classes=2, prototypes=5)
    levels = [torch.randn(2, 4, 3, 2), torch.randn(2, 4, 1, 1)]
    boxes, classes, coefficients = head(levels)
    assert boxes.shape == (2, 21, 4)
    assert classes.shape == (2, 21, 2)
    assert coefficients.shape == (2, 21, 5)
    for level, start, columns in ((levels[0], 0, 2), (levels[1], 18, 1)):
        maps = head.classes(F.relu(head.feature(level)))
        for row in range(level.shape[2]):
            for column in range(columns):
                for anchor in range(3):
                    got = classes[:, start + (row * columns + column) * 3 + anchor]
                    expected = maps[:, 2 * anchor : 2 * anchor + 2, row, column]
                    torch.testing.assert_close(got, expected)


def test_coefficients_pass_through_tanh() -> None:
    head = PredictionHead(2, anchors=1, num_classes=2, prototypes=1)
    nn.init.zeros_(head.coefficients.weight)
    nn.init.constant_(head.coefficients.bias, 0.5)
    _, _, coefficients = head([torch.randn(1, 2, 2, 2)])
    torch.testing.assert_close(coefficients, torch.full_like(coefficients, 0.5).tanh())
