"""Commands that a page shows, and whether each could be typed: nothing is run.

A line of a block may end in a comment, or in an explanation after two spaces. Words in capitals,
`...` and `[optional]` words stand for something and are left out; of `one|other` each module and
the first value are tried.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.types import Override

from sweeps.__main__ import VERBS
from sweeps.compose import ComposeError, Composer
from sweeps.resources import spelled_out
from tests.pages import ROOT, blocks_of
from yolactpp.option_names import quote_numbers

# Root config of an entry point with overrides.
ROOTS = {
    "yolactpp.train": "train",
    "yolactpp.data.preflight": "train",
    "yolactpp.data.anchors": "train",
    "yolactpp.evaluate": "evaluate",
    "yolactpp.predict": "predict",
    "yolactpp.export": "export",
    "yolactpp.benchmark": "benchmark",
}
_COMMAND = re.compile(r"(?:\$ )?(?:sudo )?(?:\.venv/bin/)?(python -m \S.*|scripts/\w.*)")
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^ {4,}\S.*\n?)+", re.MULTILINE)
_MADE_OPTION = re.compile(r"conf/(\w+)/(\w+)\.yaml")


@dataclass(frozen=True)
class Command:
    """A command as a page shows it.

    Args:
        words: `python -m MODULE ...` without its first two words, or `scripts/NAME ...`.
        is_whole: it stands in a block, so that it has all its arguments.
    """

    words: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        return " ".join(self.words)


def commands_of(page: Path) -> Iterator[Command]:
    """Every command in a page's blocks and code spans."""
    text = page.read_text(encoding="utf-8")
    shown = [each.text for each in blocks_of(page) if each.language in ("bash", "console", "sh")]
    shown += re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    prose = _FENCED.sub("", text)
    shown += _INDENTED.findall(prose)
    for block in shown:
        for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
            yield from _command(re.split(r"\s+# |(?<=\S) {2,}(?=\S)", line.strip())[0], True)
    for span in _SPAN.findall(_INDENTED.sub("", prose)):
        yield from _command(span, False)


def made_options(page: Path) -> set[tuple[str, str]]:
    """Group and option of the config files that the page's reader writes."""
    matches = (_MADE_OPTION.fullmatch(each.title) for each in blocks_of(page))
    return {(match[1], match[2]) for match in matches if match}


def fault(command: Command, made: set[tuple[str, str]]) -> str | None:
    """What is wrong with a command; None if it could be typed.

    Args:
        command: of a page.
        made: options that this page adds to conf/.
    """
    first, *rest = command.words
    if first.startswith("scripts/"):
        path = ROOT / first
        return None if path.is_file() and os.access(path, os.X_OK) else f"no command {first}"
    parent = first.rpartition(".")[0]
    for name in first.split("|"):
        module = name if "." in name or not parent else f"{parent}.{name}"
        found = _module_fault(module) or _arguments_fault(module, rest, command.is_whole, made)
        if found:
            return found
    return None


def _command(line: str, is_whole: bool) -> Iterator[Command]:
    match = _COMMAND.fullmatch(line)
    if not match:
        return
    words = [word for word in shlex.split(match[1]) if not _stands_for_something(word)]
    if words[:2] == ["python", "-m"]:
        words = words[2:]
    if words:
        yield Command(tuple(words), is_whole)


def _stands_for_something(word: str) -> bool:
    value = word.rpartition("=")[2]
    if word.startswith(("[", "<")) or "..." in word:
        return True
    if word.endswith("]") and "[" not in word:
        return True
    return re.fullmatch(r"[A-Z][A-Z_]+(\.\w+)?", value) is not None


def _module_fault(module: str) -> str | None:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    return None if found else f"no module {module}"


def _arguments_fault(
    module: str, words: list[str], is_whole: bool, made: set[tuple[str, str]]
) -> str | None:
    if module == "sweeps":
        return _sweeps_fault(words, is_whole, made)
    if module == "pytest":
        paths = [word.split("::")[0] for word in words if word.startswith("tests/")]
        return next((f"no tests {path}" for path in paths if not (ROOT / path).exists()), None)
    if module in ROOTS:
        loose = [word for word in words if "=" not in word and word[0] not in "-~"]
        if loose and "--cfg" not in words:
            return f"{loose[0]} is no override"
        overrides = [word for word in words if "=" in word and not word.startswith("-")]
        return _overrides_fault(ROOTS[module], overrides, made)
    return None


def _sweeps_fault(words: list[str], is_whole: bool, made: set[tuple[str, str]]) -> str | None:
    for verb in words[0].split("|") if words else ():
        if verb not in VERBS:
            return f"no verb {verb}: {', '.join(VERBS)}"
        parser = argparse.ArgumentParser(exit_on_error=False)
        importlib.import_module(VERBS[verb]).add_arguments(parser)
        try:
            args, unknown = parser.parse_known_intermixed_args(words[1:])
        except (argparse.ArgumentError, SystemExit) as error:
            return f"sweeps {verb}: {error}" if is_whole else None
        if unknown:
            return f"sweeps {verb}: unknown {unknown}"
        if verb in ("submit", "search"):
            sweep = [] if args.sweep == "-" else [f"+sweep={args.sweep}"]
            return _overrides_fault("train", [*sweep, *spelled_out(args.overrides)], made)
    return None


def _overrides_fault(root: str, words: list[str], made: set[tuple[str, str]]) -> str | None:
    """Compose what the overrides ask for, each option of a list once."""
    first = [re.sub(r"\|[^=]*$", "", word) for word in words]
    try:
        with Composer(root) as composer:
            parsed = composer.parse(quote_numbers(first))
            # What the page's own options hold, such as loss.exponent, is known to them alone.
            own = {each.split("=")[0] for each in first for pair in made if each == "=".join(pair)}
            kept = [each for each in parsed if each.key_or_group.split(".")[0] not in own]
            lists = [_values(composer, each, made) for each in kept]
            for index in range(max(map(len, lists), default=1)):
                composer.full([each[index % len(each)] for each in lists if each], hydra=True)
    except ComposeError as error:
        return str(error)
    return None


def _values(composer: Composer, override: Override, made: set[tuple[str, str]]) -> list[str]:
    """The override's values to compose: every option of a group, the first of plain values."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        value = override.get_value_element_as_str()
        return [] if (key, value) in made else [str(override.input_line)]
    values = [each for each in override.sweep_string_iterator() if (key, each) not in made]
    chosen = values if composer.is_group(override.key_or_group) else values[:1]
    return [f"{key}={each}" for each in chosen]
