"""The original program's parameter names beside ours: one mapping, both ways."""

from __future__ import annotations

# Beginnings of names, ours and the original's; below them the names agree.
PREFIXES = (
    ("backbone.", "backbone."),
    ("fpn.lateral.", "fpn.lat_layers."),
    ("fpn.output.", "fpn.pred_layers."),
    ("fpn.downsample.", "fpn.downsample_layers."),
    ("protonet.layers.", "proto_net."),
    ("head.feature.", "prediction_layers.0.upfeature.0."),
    ("head.box.", "prediction_layers.0.bbox_layer."),
    ("head.classes.", "prediction_layers.0.conf_layer."),
    ("head.coefficients.", "prediction_layers.0.mask_layer."),
    ("semantic.", "semantic_seg_conv."),
    ("mask_iou.layers.", "maskiou_net.maskiou_net."),
)


def to_original(key: str) -> str:
    """The original's name of a parameter of `YolactppNetwork`.

    Raises:
        KeyError: if the network has no parameter of that kind.
    """
    return _swap(key, [(ours, theirs) for ours, theirs in PREFIXES])


def from_original(key: str) -> str:
    """Our name of a parameter of the original's state dict.

    Raises:
        KeyError: if the original has no parameter of that kind.
    """
    return _swap(key, [(theirs, ours) for ours, theirs in PREFIXES])


def _swap(key: str, prefixes: list[tuple[str, str]]) -> str:
    for old, new in prefixes:
        if key.startswith(old):
            return new + key.removeprefix(old)
    raise KeyError(f"{key} begins with none of {', '.join(old for old, _ in prefixes)}")
