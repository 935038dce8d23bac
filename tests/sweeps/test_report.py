"""The page as text: self-contained, escaped, complete; and in a real browser (`-m browser`)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest
import yaml

from sweeps.__main__ import main
from sweeps.collect import collect
from sweeps.figures.gallery import PLATES
from sweeps.report.beyond import beyond_table
from sweeps.report.forest import forest_bars
from sweeps.report.page import answers, render_page
from sweeps.report.protocol import protocol_differences
from sweeps.study import load_study
from sweeps.verdicts import COLUMNS, Verdict
from tests.sweeps.made_runs import (
    make_dataset,
    make_failed_run,
    make_run,
    make_study,
    run_config,
    single,
)
from yolactpp.identity import folder_name

QUICK = ["--resamples", "40"]
HOSTILE = "<script>alert('butt')</script>"
SECTIONS = ["answer", "verdicts", "tables", "runs", "figures", "samples", "settings", "failed"]
SECTIONS += ["protocol", "published"]
BROWSER_FLAGS = ["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"]
BROWSER_FLAGS += ["disable-background-networking", "disable-component-update", "disable-sync"]
BROWSER_FLAGS += ["disable-dev-shm-usage"]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sweep with a hostile class name, a hostile failure message and a log."""
    folder = tmp_path_factory.mktemp("report")
    noise = {"bce": 0.2, "dice": 0.9, "mse_bce@0.5": 0.2, "mse_bce@2": 0.3}
    made, _ = make_study(folder, noise, seeds=2, images=10, classes=("butt", HOSTILE))
    failed = make_failed_run(folder / "sweep", made, single("tversky"), 0)
    failed.log.write_text("step 30\nmask is <b>nan</b>\n")
    return folder


@pytest.fixture(scope="module")
def page_file(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeps.report.figures.PLATES", PLATES[:2])
        assert main(["report", str(folder / "sweep"), "--published", *QUICK]) == 0
    return folder / "sweep/report.html"


@pytest.fixture(scope="module")
def page(page_file):
    return page_file.read_text(encoding="utf-8")


@pytest.fixture
def one_figure(monkeypatch):
    """Drawing all of them is `page_file`'s part."""
    monkeypatch.setattr("sweeps.report.figures.PLATES", PLATES[:1])


class Links(HTMLParser):
    """Collects what a browser would fetch, scripts' sources included, and the tags' balance."""

    def __init__(self):
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.scripts += tag == "script"
        self.ids += [found["id"]] if "id" in found else []
        if tag == "a":
            self.anchors.append(found["href"])
        else:
            for key in ("src", "href", "data", "poster", "srcset"):
                if key in found:
                    self.fetched.append(found[key])


def test_nothing_is_fetched_and_every_anchor_leads_somewhere(page, page_file):
    links = Links()
    links.feed(page)
    assert links.fetched
    assert all(uri.startswith(("data:", "#")) for uri in links.fetched)
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page
    assert len(links.ids) == len(set(links.ids))
    for anchor in links.anchors:
        if anchor.startswith("#"):
            assert anchor[1:] in links.ids
        else:
            assert (page_file.parent / anchor / "config.yaml").is_file()


def test_what_comes_from_configs_is_escaped(page):
    links = Links()
    links.feed(page)
    assert links.scripts == 1
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "mask/&lt;b&gt;bce&lt;/b&gt; is nan at iteration 31" in page
    assert "mask is &lt;b&gt;nan&lt;/b&gt;" in page


def test_every_section_and_run_is_there(page, folder):
    for section in SECTIONS:
        assert f'<section id="{section}">' in page
    frame = collect(folder / "sweep", cache=False)
    for row in frame.itertuples():
        assert f'id="run-{row.run_id}"' in page
    assert "Worse than bce: dice" in page
    assert page.count("data:image/webp") == 2 * 2
    assert "c0ffeec0ff" in page
    assert "mask_crop" not in re.findall(r"<code>(\w+)</code></th>", page)


def test_size_stays_small(page):
    assert len(page.encode()) < 3_000_000


def test_the_published_page_stands_alone(tmp_path, capsys):
    output = tmp_path / "published.html"
    assert main(["report", "--published", "--output", str(output)]) == 0
    text = output.read_text(encoding="utf-8")
    assert "3.79" in text
    assert 'id="runs"' not in text
    assert "+0.78" in capsys.readouterr().out
    assert main(["report"]) == 2
    assert "--published" in capsys.readouterr().err


@pytest.mark.usefixtures("one_figure")
def test_runs_without_pictures_or_results_still_make_a_page(tmp_path, capsys):
    made = make_dataset(tmp_path / "data", 6)
    make_failed_run(tmp_path / "sweep", made, single("bce"), 0)
    assert main(["report", str(tmp_path / "sweep"), *QUICK]) == 1
    text = (tmp_path / "sweep/report.html").read_text(encoding="utf-8")
    assert "There is no finished run to compare yet." in text
    run = make_run(tmp_path / "sweep", made, single("bce"), 1, 0.2)
    assert main(["report", str(tmp_path / "sweep"), *QUICK]) == 0
    text = (tmp_path / "sweep/report.html").read_text(encoding="utf-8")
    assert "No samples:" in text
    evaluation = json.loads(run.evaluation.read_text())
    evaluation["metrics"]["segm"]["AP"] = 0.99
    run.evaluation.write_text(json.dumps(evaluation))
    assert main(["report", str(tmp_path / "sweep"), *QUICK]) == 1
    text = (tmp_path / "sweep/report.html").read_text(encoding="utf-8")
    assert "eval.json says segm AP 99.00" in text
    assert "eval.json says segm AP 99.00" in capsys.readouterr().err


def test_protocol_differences_name_both_sides(tmp_path):
    made = make_dataset(tmp_path / "data", 4)
    config = run_config(made, single("bce"), 0)
    config["protocol"] |= {"shuffle": True, "score_threshold": 0.0, "phantom_classes": 7}
    path = tmp_path / "sweep" / folder_name(config)
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    found = {each.key: each for each in protocol_differences(collect(path, cache=False))}
    assert (found["shuffle"].here, found["shuffle"].survey) == ("true", "false")
    assert found["score_threshold"].survey == "0.15"
    assert "phantom_classes" not in found


def test_answers_group_arms_by_verdict():
    rows = [
        {"label": "bce", "baseline": "bce", "verdict": Verdict.BASELINE, "n": 3},
        {"label": "mse", "baseline": "bce", "verdict": Verdict.BETTER, "n": 3, "detectable": 2.0},
        {"label": "mae", "baseline": "bce", "verdict": Verdict.UNDECIDED, "n": 3, "detectable": 3},
        {"label": "dice", "baseline": "", "verdict": Verdict.NO_BASELINE, "n": 3},
    ]
    rows[0]["baseline"] = ""
    found = answers(pd.DataFrame(rows, columns=COLUMNS), "bce")
    assert found[:2] == ["Better than bce: mse.", "Cannot be told apart from bce: mae."]
    assert "2.0 to 3.0 points" in found[2]
    assert found[3] == "No bce run shares the settings of: dice."


def test_bars_share_a_scale_that_holds_zero():
    frame = pd.DataFrame(
        {
            "setting": ["a", "b", "c"],
            "difference": [2.0, -1.0, float("nan")],
            "difference_low": [1.0, -2.0, float("nan")],
            "difference_high": [3.0, 0.5, float("nan")],
        }
    )
    bars = forest_bars(frame)
    assert set(bars) == {"a", "b"}
    assert bars["a"].zero == bars["b"].zero
    assert bars["b"].low == 2.0
    assert bars["a"].high == 98.0
    assert bars["b"].low < bars["b"].zero < bars["a"].low


@pytest.mark.usefixtures("one_figure")
def test_a_title_replaces_the_question(folder):
    study = load_study([folder / "sweep"], replicates=5)
    text = render_page(study, None, "Losses & butts", folder / "page.html")
    assert "<h1>Losses &amp; butts</h1>" in text
    assert 'href="sweep/' in text


@pytest.fixture
def browser(tmp_path, request):
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs Debian's chromium and chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    width, scheme = request.param
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in BROWSER_FLAGS:
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    preference = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", preference)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield driver
    driver.quit()


SCREENS = [(400, "light"), (400, "dark"), (1600, "light"), (1600, "dark")]


def requests_of(driver, page_url: str) -> list[str]:
    """What the page asked for; the browser's own start page is not ours."""
    messages = [json.loads(e["message"])["message"] for e in driver.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    own = [each for each in sent if each.get("documentURL", "").startswith(page_url)]
    assert own, "the log must at least hold the page itself"
    return [each["request"]["url"] for each in own]


def shown_cells(driver, column: int) -> list[str]:
    return driver.execute_script(
        "return [...document.querySelectorAll('#run-table tbody tr:not([hidden])')]"
        ".map((row) => row.cells[arguments[0]].textContent.trim())",
        column,
    )


@pytest.mark.browser
@pytest.mark.parametrize("browser", [(1600, "light")], indirect=True)
def test_sorting_filtering_and_toggling(browser, page_file):
    from selenium.webdriver.common.by import By

    browser.get(page_file.as_uri())
    score = browser.find_elements(By.CSS_SELECTOR, "#run-table thead button")[1]
    score.click()
    falling = [float(text) for text in shown_cells(browser, 1) if text]
    assert falling == sorted(falling, reverse=True)
    assert shown_cells(browser, 1)[-1] == ""
    score.click()
    assert [float(text) for text in shown_cells(browser, 1) if text] == falling[::-1]
    assert shown_cells(browser, 1)[-1] == ""

    browser.find_element(By.ID, "filter").send_keys("mse_bce α=0.5")
    assert set(shown_cells(browser, 0)) == {"mse_bce α=0.5"}
    assert browser.find_element(By.ID, "count").text == "2 of 9 runs"
    browser.find_element(By.ID, "filter").clear()
    browser.find_element(By.ID, "filter").send_keys(" ")
    browser.find_element(By.CSS_SELECTOR, "#state option:nth-child(2)").click()
    assert shown_cells(browser, 3) == ["failed"]

    left = browser.find_element(By.CSS_SELECTOR, ".sample .clip-left")
    assert float(left.get_attribute("width")) == 48
    browser.find_element(By.ID, "toggle").click()
    assert float(left.get_attribute("width")) == 96
    browser.find_element(By.CSS_SELECTOR, "#right option:nth-child(4)").click()
    use = browser.find_element(By.CSS_SELECTOR, ".sample use.right")
    assert use.get_attribute("href") == "#layer-0-3"

    background = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(background)
    browser.find_element(By.ID, "theme").click()
    assert browser.execute_script(background) != light
    assert browser.get_log("browser") == []


@pytest.mark.browser
@pytest.mark.parametrize("browser", SCREENS, indirect=True, ids=str)
def test_readable_at_every_width_without_errors_or_requests(browser, page_file):
    browser.get(page_file.as_uri())
    page_url = page_file.as_uri()
    asked = requests_of(browser, page_url)
    assert [url for url in asked if not url.startswith(("data:", page_url))] == []
    assert browser.get_log("browser") == []
    wide, narrow = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide == narrow, "the page itself must not scroll sideways"
    smallest = browser.execute_script(
        "return Math.min(...[...document.querySelectorAll('p, td, th, h1, h2, button')]"
        ".filter((e) => e.offsetParent).map((e) => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert smallest >= 12
    contrast = browser.execute_script(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast


# Contrast of text with the page's background by WCAG 2, for every colour of text in use.
CONTRAST = """
const light = (text) => {
  const channels = text.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
};
const paper = light(getComputedStyle(document.body).backgroundColor);
const found = {};
for (const element of document.querySelectorAll("p, td, th, a, h1, h2, figcaption, summary, dt")) {
  const colour = getComputedStyle(element).color;
  const pair = [light(colour), paper].sort();
  found[colour] = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}
return found;
"""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex with booktabs")
def test_latex_tables_compile_as_they_are(folder, tmp_path):
    out = tmp_path / "tables"
    arguments = ["tables", str(folder / "sweep"), "--format", "latex", "--published"]
    assert main([*arguments, "--output", str(out)]) == 0
    tables = sorted(out.glob("*.tex"))
    assert tables
    body = "\n".join(rf"\input{{{path}}}" for path in tables)
    preamble = r"\documentclass[a3paper,landscape]{article}\usepackage{booktabs}"
    document = f"{preamble}\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (tmp_path / "paper.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined" not in done.stdout.lower()
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


def test_what_lies_beyond_map_is_the_mean_over_seeds(tmp_path):
    _, runs = make_study(tmp_path, {"bce": 0.2, "mse": 0.3}, seeds=2, images=5)
    for place, run in enumerate(runs[:2]):
        evaluation = json.loads(run.evaluation.read_text())
        evaluation["boundary"] = {"AP": 0.2 + 0.1 * place}
        run.evaluation.write_text(json.dumps(evaluation))
    study = load_study([tmp_path / "sweep"], replicates=5)
    table = beyond_table(study)
    assert table is not None
    assert {"boundary AP", "localisation", "missed", "score error"} <= set(table.columns)
    cells = dict(table.rows)
    assert cells["bce"][table.columns.index("boundary AP")] == pytest.approx(25)
    assert cells["mse"][table.columns.index("boundary AP")] is None
    assert "AP small" in table.columns
    assert "mask-IoU error" not in table.columns
