"""Mask assembly and the return to original sizes: golden numbers, naive full-size path."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.golden import load_json, load_npz, rule_p
from tests.references.detection import masks_of_one_image
from yolactpp.inference.postprocess import Postprocessor, rescore, to_pixels
from yolactpp.ops.masks import assemble_masks, crop_mask_NHW
from yolactpp.structures import Detections

VARIANTS = ("crop", "nocrop", "thr")


def golden_mask_iou(foreground_classes: int):
    """The original's mask-IoU net with rule P's weights."""
    channels = [1, 8, 16, 32, 64, 128]
    layers: list[torch.nn.Module] = []
    for width_in, width_out in pairwise(channels):
        layers += [torch.nn.Conv2d(width_in, width_out, 3, stride=2), torch.nn.ReLU()]
    layers += [torch.nn.Conv2d(128, foreground_classes, 1), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers)
    net.load_state_dict(
        {
            key: rule_p(f"maskiou_net.maskiou_net.{key}", tuple(value.shape))
            for key, value in net.state_dict().items()
        }
    )
    return lambda masks_N1HW: net(masks_N1HW).amax(dim=(2, 3))


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_golden_postprocess(variant: str) -> None:
    arrays, meta = load_npz("postprocess.npz"), load_json("postprocess_meta.json")
    for tag in sorted({key.split("__")[0] for key in arrays}):
        given = {
            key: torch.from_numpy(arrays[f"{tag}__{key}"])
            for key in ("proto", "box", "class", "score", "coeff")
        }
        width, height, classes, has_mask_iou = arrays[f"{tag}__w_h_nfg_maskiou"].tolist()
        present = torch.ones(len(given["box"]), dtype=torch.bool)
        if variant == "thr":
            present = given["score"] > np.median(given["score"].numpy())
        (found,) = Postprocessor(crop=variant != "nocrop")(
            given["box"][None],
            given["score"][None],
            given["class"][None],
            given["coeff"][None],
            present[None],
            given["proto"][None],
            [(height, width)],
            golden_mask_iou(classes) if has_mask_iou else None,
        )
        keys = ("class", "boxes", "box_score", "masks_shape", "masks_packed")
        expected = {key: arrays[f"{tag}__{variant}__{key}"] for key in keys}
        # Without re-scoring masks rank by the class score and no second score is stored.
        expected["mask_score"] = arrays.get(f"{tag}__{variant}__mask_score", expected["box_score"])
        np.testing.assert_array_equal(found.labels_N, expected["class"])
        np.testing.assert_array_equal(found.boxes_N4, expected["boxes"])
        np.testing.assert_allclose(found.scores_N, expected["box_score"], rtol=1e-5)
        np.testing.assert_allclose(
            found.mask_scores_N,
            expected["mask_score"],
            rtol=1e-5,
            atol=1e-5 * np.abs(expected["mask_score"]).max(),
        )
        shape = tuple(expected["masks_shape"])
        masks = np.unpackbits(expected["masks_packed"], count=np.prod(shape)).reshape(shape)
        differing = (found.masks_NHW.numpy() != masks.astype(bool)).sum()
        assert differing <= meta[tag]["pixels_within_1e-5_of_0.5"], (tag, differing)


@torch.no_grad()
def test_golden_soft_masks() -> None:
    arrays = load_npz("postprocess.npz")
    for tag in sorted({key.split("__")[0] for key in arrays}):
        prototypes, coefficients, boxes, expected = (
            torch.from_numpy(arrays[f"{tag}__{key}"])
            for key in ("proto", "coeff", "box", "soft_masks_cropped_lowres")
        )
        (soft,) = assemble_masks(prototypes[None], coefficients[None]).sigmoid()
        soft = soft * crop_mask_NHW(boxes, *soft.shape[1:])
        torch.testing.assert_close(soft.permute(1, 2, 0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(64, 48), (101, 230), (17, 13), (30, 30)])
def test_masks_equal_the_naive_full_size_path(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(sum(size))
    boxes_BN4 = torch.rand(2, 12, 4, generator=generator) * 1.4 - 0.2
    coefficients = torch.randn(2, 12, 8, generator=generator).tanh()
    prototypes = torch.randn(2, 30, 26, 8, generator=generator).relu()
    scores = torch.rand(2, 12, generator=generator).sort(descending=True).values
    present = torch.ones(2, 12, dtype=torch.bool)
    present[1, 5:] = False
    found = Postprocessor()(
        boxes_BN4,
        scores,
        torch.zeros(2, 12, dtype=torch.int64),
        coefficients,
        present,
        prototypes,
        [size, size],
    )
    assert [len(each) for each in found] == [12, 5]
    for image, detections in enumerate(found):
        number = len(detections)
        naive = masks_of_one_image(
            coefficients[image, :number], prototypes[image], boxes_BN4[image, :number], size
        )
        assert torch.equal(detections.masks_NHW, naive)


def test_prototypes_at_zero_give_exactly_one_half_which_is_off() -> None:
    (found,) = Postprocessor()(
        torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]),
        torch.tensor([[0.9]]),
        torch.zeros(1, 1, dtype=torch.int64),
        torch.ones(1, 1, 4),
        torch.ones(1, 1, dtype=torch.bool),
        torch.zeros(1, 20, 20, 4),
        [(97, 131)],
    )
    assert not found.masks_NHW.any()
    assert found.masks_NHW.shape == (1, 97, 131)


def test_rescoring_multiplies_by_the_predicted_iou_of_the_own_class() -> None:
    predicted = torch.tensor([[0.5, 0.9], [0.2, 0.4]])
    scores = rescore(
        torch.rand(2, 4, 4), torch.tensor([0.8, 0.6]), torch.tensor([1, 0]), lambda _: predicted
    )
    torch.testing.assert_close(scores, torch.tensor([0.72, 0.12]))


def test_boxes_are_sorted_clamped_and_truncated() -> None:
    boxes = torch.tensor([[0.9, -0.1, 0.25, 1.3], [0.123, 0.456, 0.789, 0.999]])
    assert to_pixels(boxes, (10, 20), integer=True).tolist() == [[5, 0, 18, 10], [2, 4, 15, 9]]
    torch.testing.assert_close(
        to_pixels(boxes, (10, 20), integer=False),
        torch.tensor([[5.0, 0.0, 18.0, 10.0], [2.46, 4.56, 15.78, 9.99]]),
    )


def test_to_another_device_gives_plain_detections_with_whole_masks() -> None:
    (found,) = Postprocessor()(
        torch.tensor([[[0.2, 0.2, 0.8, 0.8]]]),
        torch.tensor([[0.9]]),
        torch.zeros(1, 1, dtype=torch.int64),
        torch.ones(1, 1, 4),
        torch.ones(1, 1, dtype=torch.bool),
        torch.ones(1, 20, 20, 4),
        [(40, 50)],
    )
    assert isinstance(found, Detections)
    assert found.to("cpu") is found
    moved = found.to("meta")
    assert type(moved) is Detections
    assert moved.masks_NHW.shape == (1, 40, 50)
