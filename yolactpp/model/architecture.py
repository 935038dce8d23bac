"""A network's architecture read off the shapes of its parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from yolactpp.model.backbone import STAGES, is_deformable

RATIOS = 3
COARSEST_STAGE = 5
DEPTHS: dict[tuple[str, tuple[int, ...]], str] = {
    ("bottleneck", (3, 4, 6, 3)): "r50",
    ("bottleneck", (3, 4, 23, 3)): "r101",
}


@dataclass(frozen=True)
class Architecture:
    """What can be known of a YOLACT or YOLACT++ network from its weights.

    Args:
        block: `basic` or `bottleneck`.
        blocks: of the four stages.
        width: channels of the stem.
        deformable_blocks: budgets of the four stages, see `backbone.is_deformable`.
        deformable_interval: distance between deformable blocks.
        num_classes: classes with background.
        scales: anchor scales a level.
        prototypes: K.
        channels: of pyramid and head.
        prototype_channels: of the protonet.
        finest_level: of the pyramid.
        extra_levels: of the pyramid.
        mask_iou_channels: None without a mask-IoU net.
    """

    block: str
    blocks: tuple[int, ...]
    width: int
    deformable_blocks: tuple[int, ...]
    deformable_interval: int
    num_classes: int
    scales: int
    prototypes: int
    channels: int
    prototype_channels: int
    finest_level: int
    extra_levels: int
    mask_iou_channels: tuple[int, ...] | None

    @property
    def model(self) -> str:
        """The option of conf/model that is nearest; `overrides` makes it exact.

        Raises:
            ValueError: the backbone is of no known depth.
        """
        depth = DEPTHS.get((self.block, self.blocks))
        if depth is None:
            raise ValueError(f"the backbone has {self.block} blocks {self.blocks}: no such model")
        return f"{'yolact' if self.mask_iou_channels is None else 'yolactpp'}_{depth}"

    def overrides(self) -> list[str]:
        """Hydra overrides of `model` that give this architecture."""

        def listed(values: Sequence[int] | None) -> str:
            return "null" if values is None else f"[{','.join(map(str, values))}]"

        return [
            f"model.backbone.width={self.width}",
            f"model.backbone.deformable_blocks={listed(self.deformable_blocks)}",
            f"model.backbone.deformable_interval={self.deformable_interval}",
            f"model.network.priors.scales={self.scales}",
            f"model.network.channels={self.channels}",
            f"model.network.finest_level={self.finest_level}",
            f"model.network.extra_levels={self.extra_levels}",
            f"model.network.prototypes={self.prototypes}",
            f"model.network.prototype_channels={self.prototype_channels}",
            f"model.network.mask_iou_channels={listed(self.mask_iou_channels)}",
        ]


def infer_architecture(state: Mapping[str, Tensor]) -> Architecture:
    """Read the architecture off a network's state dict, our names.

    Raises:
        ValueError: a tensor that every YOLACT has is not there, or shapes contradict each other.
    """
    try:
        return _infer(state)
    except KeyError as error:
        raise ValueError(f"no weights of YOLACT or YOLACT++: {error.args[0]} is missing") from error


def _infer(state: Mapping[str, Tensor]) -> Architecture:
    anchors = state["head.box.weight"].shape[0] // 4
    num_classes = state["semantic.weight"].shape[0] + 1
    class_outputs, coefficients = (
        state[f"head.{part}.weight"].shape[0] for part in ("classes", "coefficients")
    )
    if class_outputs != anchors * num_classes or coefficients % anchors or anchors % RATIOS:
        raise ValueError(
            f"{anchors} anchors a cell, {num_classes} classes and {coefficients} coefficients do "
            f"not go with {class_outputs} class outputs"
        )
    blocks = tuple(
        1 + _last_index(state, rf"backbone\.layers\.{stage}\.(\d+)\.") for stage in range(STAGES)
    )
    budgets, interval = _deformable_rule(state, blocks)
    laterals = 1 + _last_index(state, r"fpn\.lateral\.(\d+)\.")
    return Architecture(
        block="bottleneck" if "backbone.layers.0.0.conv3.weight" in state else "basic",
        blocks=blocks,
        width=state["backbone.conv1.weight"].shape[0],
        deformable_blocks=budgets,
        deformable_interval=interval,
        num_classes=num_classes,
        scales=anchors // RATIOS,
        prototypes=coefficients // anchors,
        channels=state["fpn.lateral.0.weight"].shape[0],
        prototype_channels=state["protonet.layers.0.weight"].shape[0],
        finest_level=COARSEST_STAGE + 1 - laterals,
        extra_levels=1 + _last_index(state, r"fpn\.downsample\.(\d+)\."),
        mask_iou_channels=_mask_iou_channels(state),
    )


def _last_index(state: Mapping[str, Tensor], pattern: str) -> int:
    return max((int(m[1]) for name in state if (m := re.match(pattern, name))), default=-1)


def _mask_iou_channels(state: Mapping[str, Tensor]) -> tuple[int, ...] | None:
    last = _last_index(state, r"mask_iou\.layers\.(\d+)\.weight")
    if last < 0:
        return None
    return tuple(state[f"mask_iou.layers.{i}.weight"].shape[0] for i in range(0, last, 2))


def _deformable_rule(
    state: Mapping[str, Tensor], blocks: tuple[int, ...]
) -> tuple[tuple[int, ...], int]:
    """Budgets and interval that make exactly the deformable blocks found."""
    found = [
        [
            f"backbone.layers.{stage}.{index}.conv2.conv_offset_mask.weight" in state
            for index in range(count)
        ]
        for stage, count in enumerate(blocks)
    ]
    for interval in range(1, max(blocks) + 1):
        budgets = [
            next(
                (
                    budget
                    for budget in (count, *range(count))
                    if [is_deformable(i, count, budget, interval) for i in range(count)] == stage
                ),
                None,
            )
            for count, stage in zip(blocks, found, strict=True)
        ]
        known = tuple(budget for budget in budgets if budget is not None)
        if len(known) == len(blocks):
            return known, interval
    raise ValueError("the deformable blocks follow no rule of budgets and an interval")
