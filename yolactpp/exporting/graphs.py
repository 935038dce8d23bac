"""The parts of a network as modules that exporters take: tensors in, tensors out."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn

from yolactpp.model.deformable import DeformConv2d
from yolactpp.model.fuse import fused
from yolactpp.model.mask_iou import MaskIouNet
from yolactpp.model.network import YolactppNetwork
from yolactpp.ops.deform_conv import Backend

OUTPUTS = ("loc", "class_logits", "coefficients", "prototypes", "priors")
DeformConv = Literal["native", "grid_sample"]
BACKENDS: dict[str, Backend] = {
    "native": "torchvision",
    "grid_sample": "grid_sample",
    "auto": "auto",
}


class HeadGraph(nn.Module):
    """Normalised RGB images, float32 [B, 3, S, S], to the head's raw outputs.

    The outputs, named OUTPUTS, are those of `HeadOutputs`: [B, P, 4], [B, P, C], [B, P, K],
    [B, h, w, K] and [P, 4], float32 whatever the network computes in.

    Args:
        network: in evaluation mode; a copy of it is kept, batch norm folded into the convolutions.
        deform_conv: `native` leaves the deformable convolutions one operator, `grid_sample` writes
            them as bilinear sampling and a matrix product; `auto` is the fastest here and for
            measuring alone.
        dtype: float32, or float16 to compute in half precision.
    """

    def __init__(
        self,
        network: YolactppNetwork,
        deform_conv: DeformConv | Literal["auto"] = "native",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.network = fused(network).cpu().to(dtype).requires_grad_(False)
        self.network.mask_iou = None
        self.dtype = dtype
        for module in self.network.modules():
            if isinstance(module, DeformConv2d):
                module.backend = BACKENDS[deform_conv]
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        outputs = self.network(images.to(self.dtype))
        return (
            outputs.loc_BP4.float(),
            outputs.class_logits_BPC.float(),
            outputs.coefficients_BPK.float(),
            outputs.prototypes_BHWK.float(),
            outputs.priors_P4.float(),
        )


class MaskIouGraph(nn.Module):
    """Soft cropped masks, float32 [N, 1, h, w], to the mask IoU of each class, [N, F].

    Args:
        mask_iou: a copy of it is kept.
        dtype: float32, or float16 to compute in half precision.
    """

    def __init__(self, mask_iou: MaskIouNet, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.mask_iou = copy.deepcopy(mask_iou).cpu().to(dtype).requires_grad_(False)
        self.dtype = dtype
        self.eval()

    def forward(self, masks: Tensor) -> Tensor:
        return self.mask_iou(masks.to(self.dtype)).float()


@torch.no_grad()
def example_images(graph: HeadGraph) -> Tensor:
    """Input to trace with: two images, so that the batch is not mistaken for a constant 1.

    The network runs once: its priors are then there as numbers and not part of what is traced.
    """
    side = graph.network.image_size
    images_B3SS = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    graph(images_B3SS)
    return images_B3SS


def example_masks(graph: HeadGraph) -> Tensor:
    """Input to trace the mask-IoU net with: two masks at prototype size."""
    side = graph.network.prototype_size(graph.network.image_size)
    return torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(0))
