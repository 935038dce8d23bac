"""ResNet backbone with deformable convolutions where YOLACT++ has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from yolactpp.model.blocks import BasicBlock, Bottleneck
from yolactpp.model.pretrained import load_imagenet_weights
from yolactpp.ops.deform_conv import Backend

STAGES = 4
BLOCKS: dict[str, type[BasicBlock] | type[Bottleneck]] = {
    "basic": BasicBlock,
    "bottleneck": Bottleneck,
}


def is_deformable(index: int, blocks: int, budget: int, interval: int) -> bool:
    """Whether block `index` of a stage of `blocks` is deformable, by the original's rule.

    Block 0 is deformable if the budget covers the whole stage; a later one if it is among the
    last `budget` blocks and its index is a multiple of `interval`.
    """
    if index == 0:
        return budget >= blocks
    return index + budget >= blocks and index % interval == 0


class ResNet(nn.Module):
    """ResNet (v1.5) without its classifier; returns the outputs of all four stages.

    Args:
        block: `basic` (ResNet-18, 34) or `bottleneck` (ResNet-50, 101).
        blocks: number of blocks of the four stages.
        width: channels of the stem and of the first stage's inner convolutions; doubles per stage.
        deformable_blocks: budget of deformable blocks of each stage, see `is_deformable`.
        deformable_interval: distance between deformable blocks.
        weights: None (random), the name of a torchvision weights entry (DEFAULT, IMAGENET1K_V1),
            or the path of a state dict of a torchvision-like ResNet.
        backend: how the deformable layers compute, see `deform_conv2d`.

    Raises:
        ValueError: if an argument is out of range or no such ImageNet weights exist.

    Source: He et al. 2016; Bolya et al. 2020 (YOLACT++), section 5.2.
    """

    def __init__(
        self,
        *,
        block: Literal["basic", "bottleneck"] = "bottleneck",
        blocks: Sequence[int] = (3, 4, 23, 3),
        width: int = 64,
        deformable_blocks: Sequence[int] = (0, 4, 23, 3),
        deformable_interval: int = 3,
        weights: str | None = None,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        _check(block, blocks, deformable_blocks, deformable_interval)
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layers = nn.ModuleList()
        self.out_channels: list[int] = []
        in_channels = width
        for stage, (count, budget) in enumerate(zip(blocks, deformable_blocks, strict=True)):
            stage_blocks: list[nn.Module] = []
            for index in range(count):
                made = BLOCKS[block](
                    in_channels,
                    width * 2**stage,
                    2 if index == 0 and stage > 0 else 1,
                    deformable=is_deformable(index, count, budget, deformable_interval),
                    backend=backend,
                )
                in_channels = made.expansion * width * 2**stage
                stage_blocks.append(made)
            self.layers.append(nn.Sequential(*stage_blocks))
            self.out_channels.append(in_channels)
        _initialise(self)
        if weights is not None:
            load_imagenet_weights(self, weights, block=block, blocks=list(blocks), width=width)

    def forward(self, images_B3HW: Tensor) -> list[Tensor]:
        """Outputs C2, C3, C4, C5 at strides 4, 8, 16, 32."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(images_B3HW))))
        outputs = []
        for stage in self.layers:
            features = stage(features)
            outputs.append(features)
        return outputs


def _check(
    block: str, blocks: Sequence[int], deformable_blocks: Sequence[int], interval: int
) -> None:
    if block not in BLOCKS:
        raise ValueError(f"block={block!r} is not known: use one of {', '.join(BLOCKS)}")
    for name, counts in (("blocks", blocks), ("deformable_blocks", deformable_blocks)):
        lowest = 1 if name == "blocks" else 0
        if len(counts) != STAGES or min(counts) < lowest:
            raise ValueError(f"{name}={list(counts)}: give {STAGES} integers of at least {lowest}")
    if interval < 1:
        raise ValueError(f"deformable_interval={interval}: give an integer of at least 1")


def _initialise(backbone: ResNet) -> None:
    """He's initialisation of the plain convolutions; the deformable layers keep their own."""
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d) and not name.endswith("conv_offset_mask"):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
