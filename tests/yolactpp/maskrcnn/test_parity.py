"""Against torchvision's own training losses and detections: same weights, same proposals."""

import copy

import pytest
import torch
from torch import Tensor

from tests.yolactpp.maskrcnn.made import SIZE, make_batch, make_segmenter
from yolactpp.structures import Targets

TORCHVISIONS = {
    "class": "loss_classifier",
    "box": "loss_box_reg",
    "mask": "loss_mask",
    "rpn_class": "loss_objectness",
    "rpn_box": "loss_rpn_box_reg",
}


def dictionaries(targets: Targets) -> list[dict[str, Tensor]]:
    """The ground truth as torchvision's documentation wants it, written down once more."""
    found = []
    for image in range(len(targets.labels_BM)):
        count = int((targets.labels_BM[image] >= 0).sum())
        first = int(targets.mask_offsets_B[image])
        found.append(
            {
                "boxes": targets.boxes_BM4[image, :count] * SIZE,
                "labels": targets.labels_BM[image, :count] + 1,
                "masks": targets.masks_GHW[first : first + count],
            }
        )
    return found


def seed(images: int = 0) -> None:
    """The generator as it stands when proposals are drawn.

    torchvision's transform draws one number an image before, a size from a list of one.
    """
    torch.manual_seed(5)
    for _ in range(images):
        torch.empty(1).uniform_(0.0, 1.0)


@pytest.mark.parametrize("protocol", ["sound", "yolact", "survey_code"])
@pytest.mark.parametrize("crowd", [False, True])
def test_with_bce_the_losses_are_torchvisions(protocol: str, crowd: bool) -> None:
    segmenter = make_segmenter(f"protocol={protocol}").train()
    images_B3HW, targets = make_batch(crowd=crowd)
    seed(len(images_B3HW))
    ours = segmenter.training_losses(images_B3HW, targets)
    seed()
    theirs = segmenter.network(list(images_B3HW), dictionaries(targets))
    assert set(theirs) == set(TORCHVISIONS.values())
    for name, their_name in TORCHVISIONS.items():
        assert theirs[their_name] > 0
        torch.testing.assert_close(ours[name], theirs[their_name], rtol=1e-5, atol=1e-5)


def test_with_bce_the_gradients_are_torchvisions() -> None:
    ours = make_segmenter().train()
    theirs = copy.deepcopy(ours)
    images_B3HW, targets = make_batch()
    seed(len(images_B3HW))
    losses = ours.training_losses(images_B3HW, targets)
    torch.stack([value for name, value in losses.items() if "/" not in name]).sum().backward()
    seed()
    torch.stack(
        list(theirs.network(list(images_B3HW), dictionaries(targets)).values())
    ).sum().backward()
    for (name, own), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert own.grad is not None, name
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("size", [SIZE, 80])
def test_detections_are_torchvisions(size: int) -> None:
    """Also at a size that the pyramid's stride does not divide."""
    segmenter = make_segmenter(f"image_size={size}", "model.detector.confidence_threshold=0.3")
    segmenter.network.roi_heads.score_thresh = 0.3
    images_B3HW = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    segmenter.eval()
    ours = segmenter.detect(images_B3HW, [(size, size)] * 2)
    with torch.no_grad():
        theirs = segmenter.network(list(images_B3HW))
    for own, other in zip(ours, theirs, strict=True):
        assert len(own) > 0
        torch.testing.assert_close(own.boxes_N4, other["boxes"])
        torch.testing.assert_close(own.scores_N, other["scores"])
        assert torch.equal(own.labels_N + 1, other["labels"])
        assert torch.equal(own.masks_NHW, other["masks"][:, 0] > 0.5)
        assert own.masks_NHW.any()
