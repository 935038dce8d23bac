"""Frozen settings, read fast: a config's top-level sections are parsed once, however many runs.

The runs of a sweep differ in a few lines. Cutting each config.yaml at its top-level keys and
keeping what was parsed for a piece of text makes ten thousand cost little more than their reading.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from yolactpp.identity import DATASET_PATHS, MACHINE_ONLY

TOP_LEVEL_KEY = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
ONE_SECTION = re.compile(r"[A-Za-z_][\w-]*:(?:[ \t].*)?\n?(?:[ \t].*\n?|- .*\n?|-\n?|\n)*")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Section:
    """One top-level key of a config: its leaves by dotted name and the hash of what can matter."""

    key: str
    leaves: dict[str, Any]
    digest: str | None  # None where the section cannot change a result, or is the seed


@dataclass
class SectionTable:
    """Every distinct section met so far; runs refer to them by number."""

    sections: list[Section] = field(default_factory=list)
    by_text: dict[str, list[int]] = field(default_factory=dict)
    by_content: dict[str, int] = field(default_factory=dict)

    def read(self, config_text: str) -> list[int]:
        """The numbers of a config's sections.

        Raises:
            ValueError: the text is not YAML with a mapping at its top.
        """
        numbers: list[int] = []
        for text in cut(config_text):
            if text not in self.by_text:
                self.by_text[text] = [self._add(key, value) for key, value in _parse(text).items()]
            numbers.extend(self.by_text[text])
        return numbers

    def setting(self, numbers: Iterable[int]) -> str:
        """First 8 hex digits of a hash over all that can change a result, the seed left out."""
        digests = sorted(self.sections[n].digest or "" for n in numbers)
        return hashlib.sha256("".join(digests).encode()).hexdigest()[:8]

    def as_json(self) -> list[dict[str, Any]]:
        """The sections as plain JSON."""
        return [asdict(section) for section in self.sections]

    @classmethod
    def from_json(cls, content: list[dict[str, Any]]) -> SectionTable:
        """The table that `as_json` wrote."""
        table = cls([Section(**each) for each in content])
        table.by_content = {
            _content_key(section.key, section.leaves): n for n, section in enumerate(table.sections)
        }
        return table

    def _add(self, key: str, value: Any) -> int:
        leaves = dict(_leaves(key, value))
        content = _content_key(key, leaves)
        if content not in self.by_content:
            self.by_content[content] = len(self.sections)
            self.sections.append(Section(key, leaves, _digest(key, leaves)))
        return self.by_content[content]


def cut(config_text: str) -> list[str]:
    """Cut a YAML text at its top-level keys; a text that has other forms stays whole."""
    starts = [match.start() for match in TOP_LEVEL_KEY.finditer(config_text)]
    if not starts or config_text[: starts[0]].strip() or re.search(r"[&*]\w", config_text):
        return [config_text]
    pieces = [
        config_text[start:end]
        for start, end in zip(starts, [*starts[1:], len(config_text)], strict=True)
    ]
    return pieces if all(ONE_SECTION.fullmatch(piece) for piece in pieces) else [config_text]


def _parse(text: str) -> dict[str, Any]:
    try:
        content = yaml.load(text, Loader=LOADER)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"a mapping was expected, got {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def _leaves(name: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(f"{name}.{key}", child)
    elif isinstance(value, list | dict):
        yield name, json.dumps(value, sort_keys=True, default=str)
    elif isinstance(value, int | float | str | bool) or value is None:
        yield name, value
    else:
        yield name, str(value)


def _content_key(key: str, leaves: dict[str, Any]) -> str:
    return key + json.dumps(leaves, sort_keys=True)


def _digest(key: str, leaves: dict[str, Any]) -> str | None:
    if key in MACHINE_ONLY or key == "seed":
        return None
    kept = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in leaves.items()
        if key != "dataset" or name.split(".")[1:2] not in [[path] for path in DATASET_PATHS]
    }
    return hashlib.sha256(_content_key(key, kept).encode()).hexdigest()
