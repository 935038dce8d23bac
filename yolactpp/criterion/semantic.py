"""The semantic segmentation loss on P3, which only trains the backbone.

Shape letters: B images, C foreground classes, G ground-truth masks, H and W pixels of P3.
Source: YOLACT (Bolya et al. 2019), section 3.5.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from yolactpp.ops.masks import downsample_masks
from yolactpp.structures import CROWD, Targets


def image_of_mask(targets: Targets) -> Tensor:
    """int64 [G]: the image that each packed mask belongs to."""
    index_G = torch.arange(len(targets.masks_GHW), device=targets.masks_GHW.device)
    return torch.searchsorted(targets.mask_offsets_B, index_G, right=True) - 1


def semantic_target(
    targets: Targets, classes: int, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Union of each class's masks and the pixels of crowd regions, at the size of the logits.

    Returns:
        float [B, classes, height, width] of 0 and 1; bool [B, height, width].
    """
    batch = len(targets.labels_BM)
    masks_GHW = downsample_masks(targets.masks_GHW, height, width).float()
    image_G = image_of_mask(targets)
    index_G = torch.arange(len(image_G), device=image_G.device)
    label_G = targets.labels_BM[image_G, index_G - targets.mask_offsets_B[image_G]]
    # One more channel takes the crowds, whose class is not known.
    channel_G = torch.where(label_G == CROWD, classes, label_G)
    count = masks_GHW.new_zeros(batch * (classes + 1), height, width)
    count.index_add_(0, image_G * (classes + 1) + channel_G, masks_GHW)
    covered = count.view(batch, classes + 1, height, width) > 0
    return covered[:, :classes].float(), covered[:, classes]


def semantic_loss(logits_BCHW: Tensor, targets: Targets, ignore_crowds: bool) -> Tensor:
    """Binary cross-entropy summed over images, classes and pixels, over H·W.

    Args:
        logits_BCHW: one channel a foreground class.
        ignore_crowds: gives the pixels of crowd regions weight 0 where no object of the class is;
            otherwise they are background of every class.
    """
    target_BCHW, crowd_BHW = semantic_target(targets, *logits_BCHW.shape[1:])
    weight = None
    if ignore_crowds:
        weight = (~crowd_BHW[:, None] | target_BCHW.bool()).to(logits_BCHW.dtype)
    total = binary_cross_entropy_with_logits(
        logits_BCHW, target_BCHW.to(logits_BCHW.dtype), weight, reduction="sum"
    )
    return total / (logits_BCHW.shape[2] * logits_BCHW.shape[3])
