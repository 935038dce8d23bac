"""The site builds without a warning, and the guides can be followed word by word."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.hooks.mathml import on_page_content
from sweeps.published_check import check_published
from sweeps.verdicts import Verdict
from tests.pages import ROOT, blocks_of, copy_project, follow

FORMULA = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
# What a page would load by itself: not the links that a reader may follow.
LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]+src=\"(?:https?:)?//"
    r"|<link[^>]+rel=\"(?:stylesheet|preconnect|icon)\"[^>]+href=\"(?:https?:)?//"
    r"|@import|MathJax"
)


def test_formulas_are_set_without_a_network() -> None:
    formulas = FORMULA.findall((ROOT / "docs" / "losses.md").read_text(encoding="utf-8"))
    assert formulas
    for formula in formulas:
        escaped = formula.replace("&", "&amp;").replace("<", "&lt;")
        page = on_page_content(f'<div class="arithmatex">\\[{escaped}\\]</div>')
        assert page.startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">')
        assert "\\" not in page, formula


def test_a_word_of_a_formula_is_one_text() -> None:
    page = on_page_content('a <span class="arithmatex">\\(\\mathrm{log\\_cosh}(x)\\)</span> b')
    assert page.startswith("a <math")
    assert page.endswith("</math> b")
    assert "<mtext>log_cosh</mtext>" in page


def test_blocks_are_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '- a\n\n    ```yaml title="a/b.yaml"\n    key: 1\n    ```\n\n```bash\nls\n```\n'
    )
    assert [(each.language, each.title, each.text) for each in blocks_of(page)] == [
        ("yaml", "a/b.yaml", "key: 1\n"),
        ("bash", "", "ls\n"),
    ]


def test_a_page_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("one\n")
    page = tmp_path / "page.md"
    page.write_text('```diff title="file.txt"\n two\n+three\n```\n')
    with pytest.raises(ValueError, match=r"file\.txt holds these lines 0 times"):
        follow(page, tmp_path)
    page.write_text("```bash\necho seen; false\n```\n")
    with pytest.raises(RuntimeError, match="seen"):
        follow(page, tmp_path)


@pytest.mark.slow
def test_the_site_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.html")}
    assert {Path("index.html"), Path("losses.html"), Path("reference/sweeps.html")} <= set(pages)
    for name, page in pages.items():
        assert not LOADED.search(page), f"{name} asks the network for {LOADED.search(page)}"
        assert "arithmatex" not in page, name
    assert "<math" in pages[Path("losses.html")]
    assert 'class="doc' in pages[Path("reference/losses.html")]


@pytest.mark.slow
def test_the_tutorial(tmp_path: Path) -> None:
    copy_project(tmp_path)
    printed = follow(ROOT / "docs" / "tutorial.md", tmp_path)
    runs = tmp_path / "outputs" / "runs"
    results = [json.loads(path.read_text()) for path in runs.glob("*/eval.json")]
    assert len(results) == 6
    assert "is finished" in printed
    assert "Table II" in printed
    assert "dice" in (tmp_path / "tables" / "table2.tex").read_text()
    assert (runs / "report.html").stat().st_size > 10_000
    (found,) = runs.glob("dice-b8-s0-*/predicted/images/coco/segm.json")
    assert isinstance(json.loads(found.read_text()), list)


@pytest.mark.slow
def test_ones_own_data(tmp_path: Path) -> None:
    copy_project(tmp_path)
    printed = follow(ROOT / "docs" / "own_dataset.md", tmp_path)
    assert "5 images, 123 objects of nucleus; no finding" in printed
    (result,) = (tmp_path / "outputs" / "runs").glob("*/eval.json")
    assert json.loads(result.read_text())["dataset"]["name"] == "cells"


@pytest.mark.slow
def test_adding_a_loss(tmp_path: Path) -> None:
    copy_project(tmp_path)
    follow(ROOT / "docs" / "adding_a_loss.md", tmp_path)
    assert "### `loss=power_error`" in (tmp_path / "docs" / "losses.md").read_text()
    assert (tmp_path / "losses.png").exists()
    (metrics,) = (tmp_path / "outputs" / "runs").glob("power_error-*/metrics.jsonl")
    assert "mask/power_error" in metrics.read_text()


@pytest.mark.slow
def test_adding_a_model_family(tmp_path: Path) -> None:
    copy_project(tmp_path)
    follow(ROOT / "docs" / "adding_a_model_family.md", tmp_path)
    (result,) = (tmp_path / "outputs" / "runs").glob("*/eval.json")
    assert json.loads(result.read_text())["metrics"]["segm"]["AP"] is not None


def test_the_survey_page_has_the_published_figures() -> None:
    page = (ROOT / "docs" / "survey_reread.md").read_text(encoding="utf-8").replace("−", "-")
    for table in ("table1", "table2", "table3"):
        with (ROOT / "sweeps" / "published" / f"{table}.csv").open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row.get("task") != "Detection"]
        assert all(row["mAP"] in page for row in rows)
    check = check_published()
    told = check.rows[check.rows["verdict"] != Verdict.UNDECIDED]
    assert list(told["loss"]) == ["Dice"]
    for figure in (
        f"spread by {check.noise.spread:.2f} points",
        f"{check.noise.deviation:.2f} (95 % interval",
        f"{check.noise.deviation_low:.1f} to {check.noise.deviation_high:.1f})",
        f"differ by {check.noise.least_real:.1f} points",
        f"must be {check.noise.detectable:.1f} points",
        f"{check.claimed_gain:+.2f} against",
        f"{check.fair_gain:+.2f} against",
        f"Of {len(check.rows)} rows one can be told apart",
    ):
        assert figure in " ".join(page.split()), figure
