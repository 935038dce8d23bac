"""The catalogue of losses, read from the config files and from what their `_target_`s document.

An entry is a file of conf/loss, conf/box_loss or conf/class_loss: nothing else is registered.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pkgutil import resolve_name
from typing import Any

import yaml

from losses.contract import LossModule
from losses.ranges import Parameter, parameters_of

GROUPS = {"loss": "Mask losses", "box_loss": "Box losses", "class_loss": "Class losses"}
KINDS = {
    "pixel": "Pixel losses: mean over the region",
    "region": "Region losses: one value an instance",
    "hybrid": "Hybrids: weighted sums of losses, and one over the whole map",
    "box_loss": "Box losses",
    "class_loss": "Class losses",
}
_SECTIONS = ("Formula", "Args", "Returns", "Raises", "Source")


@dataclass(frozen=True)
class Row:
    """One parameter as the catalogue shows it.

    Args:
        name: key in the config file.
        value: what the file sets, or the default.
        valid: the values it takes, in words; empty where the config file alone knows.
        meaning: from the docstring.
    """

    name: str
    value: Any
    valid: str
    meaning: str


@dataclass(frozen=True)
class Entry:
    """One option of a loss group.

    Args:
        group: "loss", "box_loss" or "class_loss".
        name: the option: `loss=NAME`.
        kind: a key of KINDS.
        target: what the file's `_target_` names.
        summary: first line of its docstring, or the file's opening comment.
        details: the docstring's further paragraphs.
        formula, source: from the docstring.
        parameters: in the docstring's order.
    """

    group: str
    name: str
    kind: str
    target: Callable[..., Any]
    summary: str
    details: str
    formula: str
    source: str
    parameters: tuple[Row, ...]


def catalogue() -> list[Entry]:
    """All entries, by kind and name."""
    entries = [_entry(group, name) for group in GROUPS for name in options(group)]
    order = list(KINDS)
    return sorted(entries, key=lambda entry: (order.index(entry.kind), entry.name))


def options(group: str) -> list[str]:
    """The names of a group's config files."""
    folder = resources.files("conf") / group
    return sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.is_file())


def read(group: str, name: str) -> dict[str, Any]:
    """The keys of one config file, with those of the files it extends by `- NAME` filled in."""
    own = yaml.safe_load((resources.files("conf") / group / f"{name}.yaml").read_text()) or {}
    base: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for default in own.pop("defaults", []):
        if isinstance(default, str) and default != "_self_":
            base |= read(group, default)
        elif isinstance(default, dict):
            ((key, value),) = default.items()
            chosen[key.rpartition("@")[2]] = {"name": value}
    merged = base | chosen
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged[key] | value if both else value
    return merged


def _entry(group: str, name: str) -> Entry:
    node = read(group, name)
    target = resolve_name(node["_target_"])
    sections = docstring_sections(inspect.getdoc(target) or "")
    is_hybrid = group == "loss" and not isinstance(target, type)
    summary, _, details = sections[""].partition("\n\n")
    if is_hybrid:
        summary, details = _comment(group, name) or " ".join(summary.split()), ""
    formula = (_sum_formula(node) if is_hybrid else "") or " ".join(
        sections.get("Formula", "").split()
    )
    is_mask_loss = isinstance(target, type) and issubclass(target, LossModule)
    kind = "hybrid" if is_hybrid else group
    if is_mask_loss:
        kind = target.function.kind
    known = target.parameter_ranges if is_mask_loss else parameters_of(target)
    return Entry(
        group=group,
        name=name,
        kind=kind,
        target=target,
        summary=" ".join(summary.split()),
        details="\n\n".join(" ".join(each.split()) for each in details.split("\n\n") if each),
        formula=formula,
        source=" ".join(sections.get("Source", "").split()),
        parameters=_rows(node, known, sections.get("Args", "")),
    )


def docstring_sections(text: str) -> dict[str, str]:
    """Text by section: "" what comes before the first; "Formula: x" may stand on one line."""
    sections: dict[str, list[str]] = {"": []}
    current = ""
    for line in text.splitlines():
        head, colon, rest = line.partition(":")
        if colon and head in _SECTIONS:
            current = head
            line = rest.strip()
        sections.setdefault(current, []).append(line)
    return {name: "\n".join(lines).strip("\n") for name, lines in sections.items()}


def _rows(node: dict[str, Any], known: dict[str, Parameter], arguments: str) -> tuple[Row, ...]:
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.cleandoc(arguments).splitlines():
        if match := re.match(r"(\w[\w, ]*): (.*)", line):
            names = match[1].split(", ")
            meanings |= dict.fromkeys(names, match[2])
        else:
            meanings |= {name: f"{meanings[name]} {line.strip()}" for name in names}
    hidden = {"name", "_target_", "logits_NHW", "target_NHW", "weight_NHW"}
    if "third" in known and "third" not in node:
        hidden |= {name for name in known if name.startswith("third")} | {"gamma"}
    shown = [name for name in {**known, **node} if name not in hidden]
    rows = []
    for name in shown:
        parameter = known.get(name)
        valid = parameter.valid if parameter else ""
        default = parameter.default if parameter else None
        value = node.get(name, default)
        rows.append(Row(name, _shown(value), valid, meanings.get(name, "")))
    return tuple(rows)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        if target := value.get("_target_"):
            inner = ", ".join(f"{k}={_shown(v)}" for k, v in value.items() if k != "_target_")
            return f"{target.rpartition('.')[2]}({inner})"
        return str(value.get("name", value))
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _comment(group: str, name: str) -> str:
    text = (resources.files("conf") / group / f"{name}.yaml").read_text()
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return " ".join(lines)


def _sum_formula(node: dict[str, Any]) -> str:
    weights = {"first": "alpha", "second": "beta", "third": "gamma"}
    letters = {"alpha": "α", "beta": "β", "gamma": "γ"}
    present = [term for term in weights if term in node]
    return " + ".join(f"{letters[weights[term]]}·{_shown(node[term])}" for term in present)
