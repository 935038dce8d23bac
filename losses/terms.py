"""Composition: a mask loss of one term or more, each with its weight, region and normaliser.

Shape letters: N instances, H and W prototype pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from losses.contract import Kind
from losses.regions import BoxRegion, box_area_N
from losses.weights import Learned, Weight
from losses.windows import in_windows, pays

Region = Literal["cropped", "full"]
Normaliser = Literal["box_area", "region_mean", "image"]
Crop = Literal["weight", "zero"]
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]

# Below -100 a float32 probability is 0 to the last bit that matters: BCE there is 100 at a mask
# pixel, the value at which torch clamps the BCE of probabilities, and 0 elsewhere.
_ZERO_PROBABILITY_LOGIT = -100.0


@dataclass
class TermValue:
    """What one term says of a batch's instances.

    Args:
        name: in logs: `mask/NAME` and `mask/NAME_weighted`.
        raw_N: unweighted value of each instance; the criterion sums weight * raw_N over instances.
        weight: a number, or a scalar tensor where it is learned.
    """

    name: str
    raw_N: Tensor
    weight: float | Tensor


class Term(nn.Module):
    """A loss together with its weight, the region it looks at and what its sum is divided by.

    Args:
        loss: a mask loss.
        weight: a number, a schedule over training (`Constant`, `Linear`, `Cosine`) or `Learned`.
        region: "cropped" to the ground-truth box widened by one pixel, or the "full" map.
        normaliser: a pixel loss's sum over the region is divided by the "box_area" in prototype
            pixels, or by the pixels of the whole "image"; "region_mean" leaves its own mean.
            Region losses are one value an instance and stay as they are.
        crop: outside a cropped region pixels have "weight" 0, or probability "zero" as in YOLACT's
            code, where a mask pixel outside its box costs BCE 100 and gets no gradient.
        min_box_area: least area to divide by, in prototype pixels, >= 0.

    Raises:
        ValueError: for an unknown region, normaliser or crop, a negative area, a weight that is not
            finite, or a learned weight on a loss that can be negative.
    """

    def __init__(
        self,
        loss: Loss,
        weight: Weight = 1.0,
        region: Region = "cropped",
        normaliser: Normaliser = "box_area",
        crop: Crop = "weight",
        min_box_area: float = 1.0,
    ) -> None:
        super().__init__()
        _check_choice("region", region, get_args(Region))
        _check_choice("normaliser", normaliser, get_args(Normaliser))
        _check_choice("crop", crop, get_args(Crop))
        if not min_box_area >= 0:
            raise ValueError(f"Term: min_box_area={min_box_area!r}, must be a number >= 0")
        if isinstance(weight, int | float):
            if not abs(weight) < float("inf"):
                raise ValueError(f"Term: weight={weight!r}, must be a finite number")
        elif not callable(weight):
            raise ValueError(f"Term: weight={weight!r}, must be a number, a schedule or Learned")
        if isinstance(weight, Learned) and getattr(loss, "can_be_negative", False):
            raise ValueError(
                f"Term: weight=Learned on {name_of(loss)}, which can be negative: its weight would "
                "grow for ever; give it a number or a schedule"
            )
        self.loss = loss
        self.weight: Weight = weight
        self.region = region
        self.normaliser = normaliser
        self.crop = crop
        self.min_box_area = min_box_area

    def forward(
        self,
        logits_NHW: Tensor,
        target_NHW: Tensor,
        boxes_N4: Tensor,
        region: BoxRegion | None,
    ) -> Tensor:
        """The term's value of each instance [N], before its weight.

        Args:
            logits_NHW: raw mask scores at the prototypes' size.
            target_NHW: in [0, 1].
            boxes_N4: ground truth, x1, y1, x2, y2 relative to the image.
            region: of the boxes; None where the region is full.
        """
        value_N = self._value(logits_NHW, target_NHW, region)
        kind: Kind = getattr(self.loss, "kind", "region")
        if kind == "region" or self.normaliser == "region_mean":
            return value_N
        height, width = logits_NHW.shape[1:]
        image = float(height * width)
        is_weighted = region is not None and self.crop == "weight"
        pixels_N = region.pixels_N.to(value_N.dtype) if region and is_weighted else image
        if self.normaliser == "image":
            return value_N * (pixels_N / image)
        area_N = box_area_N(boxes_N4.to(value_N.dtype), height, width, self.min_box_area)
        return value_N * (pixels_N / area_N)

    def _value(self, logits_NHW: Tensor, target_NHW: Tensor, region: BoxRegion | None) -> Tensor:
        """The loss itself, [N]."""
        if region is None:
            return self.loss(logits_NHW, target_NHW, None)
        if self.crop == "zero":
            logits_NHW = logits_NHW.masked_fill(~region.inside_NHW, _ZERO_PROBABILITY_LOGIT)
            return self.loss(logits_NHW, target_NHW, None)
        if getattr(self.loss, "looks_outside", True) is False and pays(logits_NHW):
            return in_windows(self.loss, logits_NHW, target_NHW, region.windows)
        dtype = torch.promote_types(logits_NHW.dtype, torch.float32)
        return self.loss(logits_NHW, target_NHW, region.inside_NHW.to(dtype))

    def weight_at(self, progress: float) -> float | Tensor:
        """The weight when a fraction `progress` of training is done."""
        if isinstance(self.weight, Learned):
            return cast(Tensor, self.weight())
        return self.weight if isinstance(self.weight, int | float) else self.weight(progress)


class MaskLoss(nn.Module):
    """The weighted sum of one term or more; what the criterion is handed.

    Args:
        terms: by the name they are logged under, in order.

    Raises:
        ValueError: without any term.
    """

    def __init__(self, terms: Mapping[str, Term]) -> None:
        super().__init__()
        if not terms:
            raise ValueError("MaskLoss: terms is empty, give at least one Term")
        # Not a ModuleDict: its names may hold no dot, and must differ from its own attributes.
        self.names = list(terms)
        self.terms = nn.ModuleList(terms.values())

    def forward(
        self,
        logits_NHW: Tensor,
        target_NHW: Tensor,
        boxes_N4: Tensor,
        progress: float = 0.0,
    ) -> list[TermValue]:
        """The terms' values; a learned weight adds a term NAME_uncertainty of weight 1.

        Args:
            logits_NHW: raw mask scores at the prototypes' size.
            target_NHW: in [0, 1], floating point.
            boxes_N4: ground-truth boxes, x1, y1, x2, y2 relative to the image.
            progress: fraction of training done, in [0, 1].
        """
        if boxes_N4.shape != (len(logits_NHW), 4):
            raise ValueError(
                f"MaskLoss: boxes of shape {tuple(boxes_N4.shape)}, must be "
                f"({len(logits_NHW)}, 4): one box for each of the logits' instances"
            )
        region = BoxRegion(boxes_N4, *logits_NHW.shape[1:])
        values = []
        for name, module in zip(self.names, self.terms, strict=True):
            term = cast(Term, module)
            of_term = region if term.region == "cropped" else None
            raw_N = term(logits_NHW, target_NHW, boxes_N4, of_term)
            values.append(TermValue(name, raw_N, term.weight_at(progress)))
            if isinstance(term.weight, Learned):
                uncertainty_N = term.weight.log_variance.expand(len(raw_N))
                values.append(TermValue(f"{name}_uncertainty", uncertainty_N, 1.0))
        return values


def name_of(loss: Loss) -> str:
    """The name a loss is logged under: its own, or its function's."""
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__))


def _check_choice(name: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise ValueError(f"Term: {name}={value!r}, must be one of {', '.join(valid)}")
