"""Links in the pages lead somewhere, and every command in them could be typed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.commands import Command, commands_of, fault, made_options
from tests.pages import ROOT

PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        ROOT / "outputs" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<(?:img|a)[^>]+(?:src|href)=\"([^\"]+)\"")
_CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links_of(page: Path) -> list[str]:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    found = [match[1] or match[2] for match in _LINK.finditer(text)]
    return [link for link in found if not re.match(r"(https?|mailto):", link)]


@cache
def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    text = page.read_text(encoding="utf-8")
    anchors = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for heading in _HEADING.findall(_FENCED.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        kept = re.sub(r"[^\w\s-]", "", plain).strip()
        anchors |= {re.sub(r"\s", "-", kept), re.sub(r"[-\s]+", "-", kept)}
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert target.is_relative_to(ROOT), f"{name_of(page)}: {link} leaves the repository"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{name_of(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_could_be_typed(page: Path) -> None:
    made = made_options(page)
    faults = {str(each): fault(each, made) for each in dict.fromkeys(commands_of(page))}
    assert {command: why for command, why in faults.items() if why} == {}


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("yolactpp.trane", "loss=bce"), "no module yolactpp.trane"),
        (("yolactpp.train", "loss=bcee"), "loss=bce"),
        (("yolactpp.train", "-m", "loss=bce,msee"), "loss=mse"),
        (("yolactpp.train", "loss.alfa=1"), "loss.alfa"),
        (("yolactpp.train", "bce"), "bce is no override"),
        (("sweeps", "tabels", "outputs/runs"), "no verb tabels"),
        (("sweeps", "tables", "outputs/runs", "--publish=1"), "tables"),
        (("sweeps", "submit", "tabel3"), "sweep=table3"),
        (("scripts/quickstrat",), "no command scripts/quickstrat"),
    ],
    ids=" ".join,
)
def test_wrong_commands_are_found(words: tuple[str, ...], message: str) -> None:
    found = fault(Command(words, is_whole=True), set())
    assert found is not None
    assert message in found


def test_options_that_the_page_makes_are_known() -> None:
    words = ("yolactpp.train", "-m", "dataset=mine", "loss=bce,own_loss")
    assert fault(Command(words, is_whole=True), {("dataset", "mine"), ("loss", "own_loss")}) is None


def test_commands_are_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "See `python -m sweeps report FOLDER...`.\n\n"
        "    python -m yolactpp.train loss=bce        one run\n"
        "    .venv/bin/python -m sweeps status|retry outputs/runs   # both\n\n"
        "```console\nscripts/test -k golden\npython -m yolactpp.train \\\n    seed=1\n```\n"
    )
    assert [str(each) for each in commands_of(page)] == [
        "scripts/test -k golden",
        "yolactpp.train seed=1",
        "yolactpp.train loss=bce",
        "sweeps status|retry outputs/runs",
        "sweeps report",
    ]
