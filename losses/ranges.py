"""Parameters of a loss and their valid ranges, read from the annotations of its function.

`def focal(..., *, gamma: NonNegative = 2.0)` is at once the default, the range check and the row
in the catalogue.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_type_hints


@dataclass(frozen=True)
class Range:
    """An interval of numbers; an open end is not part of it."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        left = "(" if self.low_open or math.isinf(self.low) else "["
        right = ")" if self.high_open or math.isinf(self.high) else "]"
        ends = (f"{end:g}".replace("inf", "∞") for end in (self.low, self.high))
        return left + ", ".join(ends) + right


Positive = Annotated[float, Range(low=0, low_open=True)]
NonNegative = Annotated[float, Range(low=0)]
Unit = Annotated[float, Range(low=0, high=1)]
UnitBelowOne = Annotated[float, Range(low=0, high=1, high_open=True)]
AtLeastMinusOne = Annotated[float, Range(low=-1)]
Percent = Annotated[float, Range(low=0, high=100, low_open=True)]


@dataclass(frozen=True)
class Parameter:
    """One keyword argument of a loss.

    Args:
        name: as in the function's signature and in the config file.
        default: what it is when nobody says otherwise.
        range: of a number; None for anything else.
        optional: whether None (null in a config file) is allowed too.
        type: "number", "switch", or "other" for what the function checks itself.
    """

    name: str
    default: Any
    range: Range | None
    optional: bool
    type: str

    @property
    def valid(self) -> str:
        """The values it takes, in words."""
        words = {"switch": "true or false", "number": f"a number in {self.range}", "other": ""}
        values = words[self.type]
        return f"{values}, or none" if self.optional and values else values

    def check(self, owner: str, value: Any) -> None:
        """Refuse a value that is not valid, naming the loss, the argument and the mend."""
        if value is None and self.optional:
            return
        if self.type == "other":
            return
        if self.range is None:
            fits = isinstance(value, bool)
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
            fits = fits and math.isfinite(value) and value in self.range
        if not fits:
            raise ValueError(f"{owner}: {self.name}={value!r}, must be {self.valid}")


def parameters_of(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The keyword-only arguments of a function or a Module's constructor, but for `name`."""
    annotated = function
    if isinstance(function, type):
        owners = (base for base in function.__mro__ if "__init__" in vars(base))
        annotated = vars(next(owners))["__init__"]
    hints = get_type_hints(annotated, include_extras=True)
    found = {}
    for name, argument in inspect.signature(function).parameters.items():
        if argument.kind is argument.KEYWORD_ONLY and name != "name":
            parts = [hints[name], *get_args(hints[name])]
            ranges = [each for part in parts for each in getattr(part, "__metadata__", ())]
            limits = next((each for each in ranges if isinstance(each, Range)), None)
            kind = "number" if limits else "switch" if hints[name] is bool else "other"
            found[name] = Parameter(name, argument.default, limits, type(None) in parts, kind)
    return found


def check_arguments(
    owner: str, parameters: Mapping[str, Parameter], arguments: Mapping[str, Any]
) -> None:
    """Refuse unknown names and values out of range.

    Raises:
        TypeError: for a name the loss does not have; the message lists those it has.
        ValueError: for a value out of range; the message gives the range.
    """
    for name, value in arguments.items():
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise TypeError(f"{owner}: unknown argument {name}={value!r}; its arguments: {known}")
        parameters[name].check(owner, value)


def bind(owner: Callable[..., Any], name: str, **arguments: Any) -> dict[str, Any]:
    """The arguments of a Module's constructor, checked against its annotations.

    Raises:
        ValueError: for a value out of its range.
    """
    check_arguments(name, parameters_of(owner), arguments)
    return arguments
