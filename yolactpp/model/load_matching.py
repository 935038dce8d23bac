"""Weights of one model into another: all that fits, fresh class outputs where classes differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

# Modules with one output a class; of the mask-IoU net only the last layer can differ. The last
# three are Mask R-CNN's.
_CLASS_OUTPUTS = re.compile(
    r"(^|\.)(head\.classes|semantic|mask_iou\.layers\.\d+|box_predictor\.cls_score"
    r"|box_predictor\.bbox_pred|mask_predictor\.mask_fcn_logits)\.(weight|bias)$"
)
# Weights of loss terms that are learned belong to a loss, not to the network.
_CRITERION = "criterion."


@dataclass
class LoadReport:
    """What became of each tensor, by name.

    Args:
        loaded: taken over.
        reinitialised: class outputs of another number of classes, left as they were made.
        missing: the model has them, the file has not.
        unused: weights of loss terms that the model has not.
    """

    loaded: list[str] = field(default_factory=list)
    reinitialised: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line a fate, the names given where they are not the ordinary case."""
        lines = [f"{len(self.loaded)} tensors loaded"]
        for what in ("reinitialised", "missing", "unused"):
            names: list[str] = getattr(self, what)
            if names:
                lines.append(f"{len(names)} {what}: {', '.join(names)}")
        return "\n".join(lines)


def load_matching(model: nn.Module, state: Mapping[str, Tensor]) -> LoadReport:
    """Load what fits; re-initialise the class outputs if the number of classes differs.

    Args:
        model: network or segmenter; its class outputs keep their fresh values where needed.
        state: names as in `model.state_dict()`.

    Raises:
        ValueError: a tensor that has nothing to do with classes differs in shape, or only one of
            the two has it: the weights are of another architecture.
    """
    own = model.state_dict()
    report = LoadReport(unused=[name for name in state if name not in own])
    other_shape = []
    fitting = {}
    for name, tensor in own.items():
        if name not in state:
            report.missing.append(name)
        elif state[name].shape == tensor.shape:
            fitting[name] = state[name]
            report.loaded.append(name)
        elif _CLASS_OUTPUTS.search(name) and state[name].shape[1:] == tensor.shape[1:]:
            report.reinitialised.append(name)
        else:
            other_shape.append(
                f"{name} {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
            )
    lacking = [name for name in report.missing if not name.startswith(_CRITERION)]
    foreign = [name for name in report.unused if not name.startswith(_CRITERION)]
    if other_shape or lacking or foreign:
        raise ValueError(
            f"the weights are of another architecture: {len(other_shape)} tensors of another shape "
            f"({'; '.join(other_shape[:2])}), {len(lacking)} missing ({', '.join(lacking[:2])}), "
            f"{len(foreign)} that the model lacks ({', '.join(foreign[:2])}): choose the model "
            "they were trained with"
        )
    model.load_state_dict(fitting, strict=False)
    return report
