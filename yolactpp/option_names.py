"""Options whose names are numbers, such as `batch_size=16`.

Hydra reads 16 as a number and refuses it as the name of an option; quoted it is a name. This puts
the quotes where a person need not: on numbers chosen for a group of conf/, in lists too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources

NUMBERS = re.compile(r"\d+(\s*,\s*\d+)*")


def quote_numbers(overrides: Iterable[str]) -> list[str]:
    """`batch_size=2,16` as `batch_size='2','16'`; all else as it stands."""
    return [_quoted(each) for each in overrides]


def _quoted(override: str) -> str:
    key, equals, value = override.partition("=")
    if not equals or not NUMBERS.fullmatch(value) or key.lstrip("+") not in _groups():
        return override
    return f"{key}=" + ",".join(f"'{number.strip()}'" for number in value.split(","))


@lru_cache(maxsize=1)
def _groups() -> frozenset[str]:
    """Names of the groups that have an option with a number for a name."""
    return frozenset(
        folder.name
        for folder in resources.files("conf").iterdir()
        if folder.is_dir()
        and any(option.name.removesuffix(".yaml").isdigit() for option in folder.iterdir())
    )
