"""The catalogue in the terminal, its page and its pictures."""

from pathlib import Path

import pytest
from matplotlib.mathtext import MathTextParser

from losses.__main__ import main
from losses.catalogue import Entry, catalogue, docstring_sections
from losses.page import catalogue_page, tex

ROOT = Path(__file__).parents[2]
ENTRIES = catalogue()


def identity(entry: Entry) -> str:
    return f"{entry.group}-{entry.name}"


def test_page_is_current() -> None:
    page = (ROOT / "docs" / "losses.md").read_text()
    assert page == catalogue_page(ENTRIES), "renew it: python -m losses page"


@pytest.mark.parametrize("entry", ENTRIES, ids=identity)
def test_entry_is_complete_and_its_formula_typesets(entry: Entry) -> None:
    assert entry.summary.endswith(".")
    assert entry.source
    MathTextParser("path").parse(f"${tex(entry.formula)}$")
    for row in entry.parameters:
        assert row.meaning, row.name
        assert row.value, row.name
    if entry.kind in ("pixel", "region"):
        assert all(row.valid for row in entry.parameters)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("mean((p − t)²)", r"\mathrm{mean}((p - t)^2)"),
        ("α_t·(1 − p_t)^γ", r"\alpha _{t}\cdot (1 - p_{t})^{\gamma }"),
        ("fp_weight·FP", r"\mathrm{fp\_weight}\cdot FP"),
        ("a²/2 if |a| ≤ δ", r"a^2/2\ \mathrm{if}\ \vert a\vert  \leq  \delta "),
    ],
)
def test_tex(formula: str, expected: str) -> None:
    assert tex(formula) == expected


def test_sections_of_a_docstring() -> None:
    text = "Title.\n\nMore.\n\nFormula: x +\n    y\n\nArgs:\n    a: one.\n\nSource: me."
    assert docstring_sections(text) == {
        "": "Title.\n\nMore.",
        "Formula": "x +\n    y",
        "Args": "\n    a: one.".strip("\n"),
        "Source": "me.",
    }


def test_list_shows_every_loss(capsys: pytest.CaptureFixture[str], monkeypatch: object) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # type: ignore[attr-defined]
    main([])
    out = capsys.readouterr().out
    for entry in ENTRIES:
        assert entry.name in out
    assert "gamma = 2, a number in [0, ∞)" in out
    assert "1 − (2I + s)/(P + T + s)" in out
    assert "Lin et al. 2017" in out


def test_one_loss_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    main(["log_cosh_bce_dice"])
    out = capsys.readouterr().out
    assert "The formula is read from the loss's name" in out
    assert "loss.bce_weight=1 (a number in [0, ∞))" in out


def test_unknown_name_exits_with_the_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["hubr"])
    assert exit_.value.code == 2
    assert "no loss 'hubr'; perhaps: huber" in capsys.readouterr().err


def test_plot_writes_a_picture(tmp_path: Path) -> None:
    file = tmp_path / "losses.png"
    main(["plot", "huber", "dice_boundary", "--out", str(file)])
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("words", [["plot"], ["plot", "giou"]])
def test_plot_refuses_what_it_cannot_draw(words: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2


def test_page_verb(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    main(["page", "--out", str(file)])
    assert file.read_text() == catalogue_page(ENTRIES)
