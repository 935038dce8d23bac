"""The protocols side by side: reads `conf/protocol/*.yaml` and writes them into docs/protocols.md.

    python -m yolactpp.protocols [docs/protocols.md]

The comment above a key of sound.yaml is the key's entry: what it is, then `Why:` sound has its
value. The other files hold what differs, each on top of the one that its `defaults` names.
"""

import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

NAMES = ("sound", "yolact", "survey_code")
PAGE = "docs/protocols.md"
_SELF = "_self_"
_BEGIN = "<!-- written by python -m yolactpp.protocols: do not edit from here -->"
_END = "<!-- to here -->"


@dataclass
class Entry:
    """A key of the protocol: what it chooses and why sound departs from the code."""

    key: str
    what: str
    why: str


def load_protocol(name: str) -> dict[str, Any]:
    """All keys of a protocol, inherited ones included.

    Raises:
        ValueError: for a name that is no protocol.
    """
    if name not in NAMES:
        raise ValueError(f"protocol={name!r}: choose one of {', '.join(NAMES)}")
    own: dict[str, Any] = yaml.safe_load(_text(name))
    merged: dict[str, Any] = {}
    for parent in own.pop("defaults", [_SELF]):
        merged |= own if parent == _SELF else load_protocol(parent)
    return merged


def entries() -> list[Entry]:
    """The keys in sound.yaml's order with their comments.

    Raises:
        ValueError: for a key without a comment, or a comment without its `Why:`.
    """
    found, comment = [], ""
    for line in _text("sound").splitlines():
        if line.startswith("#"):
            comment += line.removeprefix("#")
            continue
        if line and not line.startswith("name:"):
            key = line.split(":")[0]
            what, _, why = comment.strip().partition(" Why: ")
            if not what or not why:
                raise ValueError(f"conf/protocol/sound.yaml: {key} lacks a comment with its Why:")
            found.append(Entry(key, what, why))
        comment = ""
    return found


def keys_section() -> str:
    """The page's generated part: a table of all keys, then what each means and why."""
    protocols = [load_protocol(name) for name in NAMES]
    lines = [
        f"| key | {' | '.join(f'`{name}`' for name in NAMES)} |",
        "|---|" + "---|" * len(NAMES),
    ]
    for entry in entries():
        values = (_shown(protocol[entry.key]) for protocol in protocols)
        lines.append(f"| [`{entry.key}`](#{entry.key}) | {' | '.join(values)} |")
    for entry in entries():
        why = entry.why[0].upper() + entry.why[1:]
        lines += ["", f"### {entry.key}", "", entry.what, "", f"*Why sound has its value:* {why}"]
    return "\n".join(lines)


def with_keys(page: str) -> str:
    """The page with the part between its two marks written anew.

    Raises:
        ValueError: where the marks are missing.
    """
    head, begin, rest = page.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{PAGE}: the marks {_BEGIN!r} and {_END!r} are missing: put them back")
    return f"{head}{_BEGIN}\n\n{keys_section()}\n\n{_END}{tail}"


def main(arguments: list[str]) -> None:
    path = Path(arguments[0] if arguments else PAGE)
    path.write_text(with_keys(path.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {path}")


def _text(name: str) -> str:
    return files("conf.protocol").joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def _shown(value: Any) -> str:
    return f"`{yaml.safe_dump(value).splitlines()[0]}`"


if __name__ == "__main__":
    main(sys.argv[1:])
