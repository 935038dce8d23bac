"""What Hydra could not make of a node, told plainly; for a wrong argument also the good ones."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object

Config = dict[str, Any]


def explain_instantiation(node: Config, error: InstantiationException) -> str:
    """The cause without Hydra's wrapping; for an unknown argument also the good ones."""
    cause: BaseException = error
    while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
        cause = cause.__cause__
    where = str(error).rsplit("full_key: ", 1)[-1].strip() if "full_key" in str(error) else ""
    target = str(node.get("_target_", ""))
    place = f"{target}, {where}" if where else target
    if isinstance(cause, TypeError) and "unexpected keyword argument" in str(cause):
        return f"{place}: {cause}{_good_arguments(node, where, str(cause))}"
    return f"{cause}" if isinstance(cause, ValueError) else f"{place}: {cause}"


def _good_arguments(node: Config, where: str, message: str) -> str:
    for key in where.split(".") if where else []:
        node = node.get(key, node) if isinstance(node, dict) else node
    try:
        known = list(inspect.signature(get_object(node["_target_"])).parameters)
    except (HydraException, ValueError, TypeError, KeyError):
        return ""
    wrong = message.rsplit("'", 2)[-2]
    close = difflib.get_close_matches(wrong, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"; it takes {', '.join(known)}.{hint}"
