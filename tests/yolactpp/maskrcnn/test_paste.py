import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image

from yolactpp.maskrcnn.paste import paste_masks


@pytest.mark.parametrize("size", [(40, 60), (61, 33), (1, 1), (7, 200)])
def test_pasting_is_torchvisions(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(3)
    soft_Nhw = torch.rand(50, 28, 28, generator=generator)
    corners = torch.rand(50, 2, 2, generator=generator).sort(dim=1).values
    boxes_N4 = (corners * torch.tensor([size[1], size[0]])).reshape(50, 4)
    crops = paste_masks(soft_Nhw, boxes_N4, size)
    expected = paste_masks_in_image(soft_Nhw[:, None], boxes_N4, size)[:, 0] > 0.5
    assert torch.equal(crops.full(), expected)
    assert len(crops.encode()) == 50


def test_a_full_mask_fills_its_box() -> None:
    """torchvision counts the lower right corner in: a box of 28 x 28 pixels holds 29 x 29."""
    boxes_N4 = torch.tensor([[10.0, 5.0, 38.0, 33.0]])
    (mask_HW,) = paste_masks(torch.ones(1, 28, 28), boxes_N4, (50, 60)).full()
    expected = torch.zeros(50, 60, dtype=torch.bool)
    expected[5:34, 10:39] = True
    assert torch.equal(mask_HW, expected)


def test_no_detection_gives_no_mask() -> None:
    crops = paste_masks(torch.zeros(0, 28, 28), torch.zeros(0, 4), (50, 60))
    assert crops.full().shape == (0, 50, 60)
