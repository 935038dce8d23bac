"""What the survey's protocol does otherwise than these runs."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from sweeps.table_build import plain
from yolactpp.protocols import entries, load_protocol

SURVEY = "survey_code"


@dataclass(frozen=True)
class Difference:
    """One key of the protocol: here, and in the survey's code."""

    key: str
    what: str
    here: str
    survey: str


def protocol_differences(frame: pd.DataFrame) -> list[Difference]:
    """Keys of the protocol in which some run is not as the survey's published code."""
    survey = load_protocol(SURVEY)
    found = []
    for entry in entries():
        column = f"protocol.{entry.key}"
        if column not in frame:
            continue
        values = list(dict.fromkeys(frame[column].map(_shown)))
        if values != [_shown(survey[entry.key])]:
            found.append(
                Difference(
                    entry.key,
                    entry.what.replace("`", ""),
                    ", ".join(values),
                    _shown(survey[entry.key]),
                )
            )
    return found


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else plain(value)
