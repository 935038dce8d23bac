"""Box geometry against the reference's numbers and worked values."""

import pytest
import torch
from torch.testing import assert_close

from tests.golden import load_npz
from yolactpp.ops.boxes import (
    box_iou,
    center_size,
    corner_form,
    crowd_iou,
    decode,
    encode,
    sanitize_range,
)


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(value) for key, value in load_npz("boxes.npz").items()}


def test_golden_coding(golden):
    priors = golden["priors"]
    for ours, theirs in [
        (encode(golden["boxes_xyxy"], priors), "encoded"),
        (decode(golden["loc"], priors), "decoded"),
        (decode(golden["encoded"], priors), "decode_of_encoded"),
        (center_size(golden["boxes_xyxy"]), "center_size"),
        (corner_form(priors), "point_form_of_priors"),
    ]:
        expected = golden[theirs]
        assert_close(ours, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_golden_overlaps(golden):
    a, b = golden["jac_a"], golden["jac_b"]
    assert_close(box_iou(a, b), golden["jaccard"], rtol=1e-5, atol=1e-7)
    assert_close(crowd_iou(a, b), golden["jaccard_iscrowd"], rtol=1e-5, atol=1e-7)


def test_golden_sanitize(golden):
    boxes = golden["crop_boxes"]
    real = torch.stack(sanitize_range(boxes[:, 0], boxes[:, 2], 123))
    assert_close(real, golden["sanitize_float_size123"], rtol=1e-5, atol=1e-5)
    assert torch.equal(real.long(), golden["sanitize_int_size123"])


def test_overlaps_worked_values():
    a = torch.tensor([[0.0, 0.0, 0.4, 0.4]])
    b = torch.tensor([[0.2, 0.2, 0.4, 0.6], [0.5, 0.5, 0.6, 0.6]])
    assert_close(box_iou(a, b), torch.tensor([[0.04 / 0.2, 0.0]]))
    assert_close(crowd_iou(a, b), torch.tensor([[0.04 / 0.16, 0.0]]))


def test_overlaps_of_a_batch_equal_those_of_its_images():
    a, b = torch.rand(3, 5, 4).sort(-1).values, torch.rand(7, 4).sort(-1).values
    each = torch.stack([box_iou(image, b) for image in a])
    assert torch.equal(box_iou(a, b), each)


def test_coding_is_a_round_trip():
    low = torch.rand(50, 2, dtype=torch.float64) * 0.5
    boxes = torch.cat([low, low + 0.05 + torch.rand(50, 2, dtype=torch.float64) * 0.4], 1)
    priors = center_size(boxes.flip(0))
    assert_close(decode(encode(boxes, priors), priors), boxes)
    assert_close(corner_form(center_size(boxes)), boxes)
