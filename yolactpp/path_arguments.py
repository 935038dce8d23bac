"""Places on the command line that Hydra's grammar would misread.

A photograph's name may hold blanks, brackets, commas or `=`, all of which mean something to Hydra.
Here a value is quoted unless the person did so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

QUOTES = ("'", '"')
# Backslashes before a quote or before the end, where the closing quote will stand.
BEFORE_QUOTE = re.compile(r"(\\*)('|$)")


def quote_paths(arguments: Iterable[str], keys: Iterable[str]) -> list[str]:
    """`source=IMG (1).jpg` as `source='IMG (1).jpg'`, for the keys that name places.

    Args:
        arguments: as typed.
        keys: whose values are taken to the letter; null stays null.
    """
    names = frozenset(keys)
    return [_quoted(each, names) for each in arguments]


def _quoted(argument: str, keys: frozenset[str]) -> str:
    key, equals, value = argument.partition("=")
    is_plain = key not in keys or not equals or value in ("", "null")
    if is_plain or (value[0] in QUOTES and value[-1] == value[0]):
        return argument
    # Within Hydra's quotes a quote is escaped, and backslashes only where a quote follows them.
    escaped = BEFORE_QUOTE.sub(lambda found: 2 * found[1] + "\\'" * len(found[2]), value)
    return f"{key}='{escaped}'"
