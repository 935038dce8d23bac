"""Ground truth as torchvision's detection models take it: one dictionary an image."""

from __future__ import annotations

from torch import Tensor

from yolactpp.structures import Targets

Truth = dict[str, Tensor]


def ground_truth(targets: Targets, height: int, width: int) -> list[Truth]:
    """Boxes in pixels, labels from 1 on and masks of each image's objects.

    Crowd regions are left out, as in torchvision's training recipe: proposals inside them count as
    background. So are boxes without area, whose offsets are not finite.

    Args:
        targets: the batch's.
        height, width: of the network's input.
    """
    scale = targets.boxes_BM4.new_tensor([width, height, width, height])
    boxes_BM4 = targets.boxes_BM4 * scale
    has_area_BM = (boxes_BM4[..., 2:] > boxes_BM4[..., :2]).all(dim=-1)
    truths = []
    for image, is_used_M in enumerate(targets.is_object_BM & has_area_BM):
        row_N = is_used_M.nonzero()[:, 0]
        truths.append(
            {
                "boxes": boxes_BM4[image, row_N],
                "labels": targets.labels_BM[image, row_N] + 1,
                "masks": targets.masks_GHW[targets.mask_offsets_B[image] + row_N],
            }
        )
    return truths
