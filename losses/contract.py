"""The contract of a mask loss, written once: checks, precision, and the thin Module.

    loss(logits_NHW, target_NHW, weight_NHW=None) -> Tensor of shape (N,)

A loss is a function under `@mask_loss`; `module(function)` makes its Module, which a config file
names as its `_target_`. Shape letters: N instances, H and W pixels.
"""

from collections.abc import Callable, Mapping
from functools import partial, wraps
from inspect import signature
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from losses.checks import check_inputs, check_result, nan_explains
from losses.instances import InstanceLoss, by_instances, values_of
from losses.per_target import once_per_target
from losses.ranges import Parameter, check_arguments, parameters_of

Kind = Literal["pixel", "region"]


def mask_loss(
    kind: Kind,
    *,
    per_target: Callable[[Tensor], Tensor] | None = None,
    can_be_negative: bool = False,
    grouped: bool = True,
    looks_outside: bool = False,
) -> Callable[[InstanceLoss], Callable[..., Tensor]]:
    """Puts `function(logits_NHW, target_NHW, weight_NHW, *, ...)` under the contract.

    The function may rely on: equal shapes, at least one instance, float32 or float64, autocast
    off, parameters in the ranges of its annotations. It returns one value an instance, each from
    its own instance alone and NaN where a logit is; or a pixel loss's `MapWithSlope`, of which the
    mean over the region is taken. The gradient reaches the logits, and can be taken once.

    Args:
        kind: "pixel" for a weighted mean over the region, which a normaliser may turn back into
            the sum; "region" for one value an instance. With a true argument `per_pixel` a region
            loss is a pixel loss.
        per_target: makes a map [N, H, W] of the target, which the function gets as its fourth
            argument; made once for a target, outside the graph.
        can_be_negative: whether the value has no lower bound of 0, so that its weight cannot be
            learned.
        grouped: evaluate it, gradient and all, a few instances at a time. False for a function
            that keeps one map at most for its backward pass.
        looks_outside: whether pixels of weight 0, or the map's size, can change the value; then it
            is always given whole maps, otherwise perhaps only a window that holds the region. So is
            a loss with `per_target`.
    """

    def decorate(function: InstanceLoss) -> Callable[..., Tensor]:
        name = function.__name__
        parameters = parameters_of(function)

        @wraps(function)
        def loss(
            logits_NHW: Tensor,
            target_NHW: Tensor,
            weight_NHW: Tensor | None = None,
            **arguments: Any,
        ) -> Tensor:
            check_arguments(name, parameters, arguments)
            check_inputs(name, logits_NHW, target_NHW, weight_NHW)
            dtype = torch.promote_types(logits_NHW.dtype, torch.float32)
            others = [target_NHW] if weight_NHW is None else [target_NHW, weight_NHW]
            inputs: list[Tensor | None] = [each.detach().to(dtype) for each in others]
            if per_target is not None:
                inputs += [None] * (2 - len(inputs))
                inputs.append(once_per_target(per_target, target_NHW).to(dtype))
            scores = logits_NHW.to(dtype)
            if len(scores) == 0:
                return scores.sum(dim=(1, 2))
            bound = partial(function, **arguments)
            with torch.autocast(scores.device.type, enabled=False), nan_explains(name, logits_NHW):
                if grouped or arguments.get("per_pixel", False):
                    values_N = by_instances(bound, scores, tuple(inputs))
                else:
                    values_N = values_of(bound(scores, *inputs), scores)
            check_result(name, values_N, logits_NHW)
            return values_N

        # What the wrapped function's fourth argument is, its callers need not know.
        shown = [each for each in signature(function).parameters.values() if each.name != "map_NHW"]
        loss.__signature__ = signature(function).replace(  # type: ignore[attr-defined]
            parameters=shown, return_annotation=Tensor
        )
        loss.kind = kind  # type: ignore[attr-defined]
        loss.can_be_negative = can_be_negative  # type: ignore[attr-defined]
        loss.looks_outside = looks_outside or per_target is not None  # type: ignore[attr-defined]
        loss.parameters = parameters  # type: ignore[attr-defined]
        return loss

    return decorate


class LossModule(nn.Module):
    """A mask loss with its parameters bound: `module(function)` makes the subclasses.

    Args:
        name: of the loss in logs and tables; by default the function's.
        arguments: the function's keyword arguments.

    Raises:
        TypeError: for an argument the function does not have.
        ValueError: for a value out of its range.
    """

    function: ClassVar[Callable[..., Tensor]]
    parameter_ranges: ClassVar[Mapping[str, Parameter]]
    notice: ClassVar[Callable[[Mapping[str, Any]], None] | None] = None

    # The one signature spelled `**`: the valid names are the function's, and checked against it.
    def __init__(self, *, name: str | None = None, **arguments: Any) -> None:
        super().__init__()
        owner = type(self).function.__name__
        check_arguments(owner, self.parameter_ranges, arguments)
        defaults = {each.name: each.default for each in self.parameter_ranges.values()}
        self.arguments: dict[str, Any] = defaults | arguments
        self.name = name or owner
        if (notice := type(self).notice) is not None:
            notice(self.arguments)

    @property
    def kind(self) -> Kind:
        per_pixel = self.arguments.get("per_pixel", False)
        return "pixel" if per_pixel else type(self).function.kind  # type: ignore[attr-defined]

    @property
    def can_be_negative(self) -> bool:
        return bool(type(self).function.can_be_negative)  # type: ignore[attr-defined]

    @property
    def looks_outside(self) -> bool:
        return bool(type(self).function.looks_outside)  # type: ignore[attr-defined]

    def forward(
        self, logits_NHW: Tensor, target_NHW: Tensor, weight_NHW: Tensor | None = None
    ) -> Tensor:
        return type(self).function(logits_NHW, target_NHW, weight_NHW, **self.arguments)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.arguments.items())


def module(
    function: Callable[..., Tensor], notice: Callable[[Mapping[str, Any]], None] | None = None
) -> type[LossModule]:
    """The Module of a loss function; `notice` sees the arguments of each one that is made."""
    name = "".join(word.capitalize() for word in function.__name__.split("_"))
    members = {
        "function": staticmethod(function),
        "parameter_ranges": function.parameters,  # type: ignore[attr-defined]
        "notice": None if notice is None else staticmethod(notice),
        "__doc__": function.__doc__,
        "__module__": function.__module__,
    }
    return type(name, (LossModule,), members)
