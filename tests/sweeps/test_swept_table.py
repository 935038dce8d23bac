"""The table of settings that a sweep moved beside the loss, from folders made by hand."""

import csv
import io
from pathlib import Path

import pytest

from sweeps.__main__ import main
from sweeps.collect import collect
from sweeps.grid import parse_grids
from sweeps.published_rows import add_published
from sweeps.render import to_csv
from sweeps.table_build import build_tables
from sweeps.table_model import Table
from tests.sweeps.hand_made import config_of, make_run
from tests.test_conf import settings
from yolactpp.run_dir import RunDir, append_jsonl


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def tables_of(folder: Path) -> dict[str, Table]:
    return {table.name: table for table in build_tables(collect(folder))}


def records(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def objectness(score: int, loss: int) -> dict:
    return {"name": "soft_objectness", "score": score, "loss": loss, "sigma": 1.0}


def validated(run: RunDir, *points: tuple[int, float]) -> None:
    for iteration, value in points:
        append_jsonl(run.metrics, {"iteration": iteration, "total": 1.0})
        append_jsonl(run.metrics, {"iteration": iteration, "val/segm_AP": value})


@pytest.fixture
def class_losses(tmp_path: Path) -> Path:
    folder = tmp_path / "objectness"
    for seed in (0, 1):
        first = config_of(seed=seed, class_loss={"name": "ohem", "negatives_per_positive": 3.0})
        run = make_run(folder / f"ohem-{seed}", first, 0.5 + seed / 10)
        validated(run, (30, 0.1 + seed / 10), (60, 0.5))
    for score, loss in ((1, 1), (1, 2), (2, 1)):
        config = config_of(class_loss=objectness(score, loss))
        run = make_run(folder / f"soft-{score}{loss}", config, 0.4 + score / 10 + loss / 100)
        validated(run, (30, score / 10), (60, 0.4))
    make_run(folder / "failed", config_of(class_loss=objectness(2, 2)), state="failed")
    return folder


def test_rows_are_keyed_by_what_was_swept(class_losses: Path) -> None:
    rows = records(tables_of(class_losses)["swept"])
    keys = ["class_loss", "class_loss.loss", "class_loss.score"]
    assert sorted(key for key in rows[0] if key.startswith("class_loss")) == keys
    found = {tuple(row[key] for key in keys): row for row in rows}
    assert found["ohem", "", ""]["mAP"] == "55.00"
    assert found["ohem", "", ""]["early mAP"] == "15.00"
    assert found["ohem", "", ""]["n"] == "2"
    assert found["soft_objectness", "2", "1"]["mAP"] == "52.00"
    assert found["soft_objectness", "2", "1"]["early mAP"] == "10.00"
    assert found["soft_objectness", "2", "2"]["state"] == "failed"
    assert found["soft_objectness", "2", "2"]["early mAP"] == ""


def test_the_note_says_when_early_was(class_losses: Path) -> None:
    table = tables_of(class_losses)["swept"]
    assert table.notes == ["early mAP: at a run's first validation, iteration 30."]


def test_without_an_earlier_validation_there_is_no_early_column(tmp_path: Path) -> None:
    for name in ("ohem", "focal"):
        run = make_run(tmp_path / name, config_of(class_loss={"name": name}), 0.5)
        validated(run, (60, 0.5))
    table = tables_of(tmp_path)["swept"]
    assert table.metrics == ["mAP", "AP50", "AP75", "AP95"]
    assert table.notes == []


def test_a_sweep_of_losses_and_batch_sizes_needs_no_further_table(tmp_path: Path) -> None:
    for loss, batch in (("bce", 2), ("bce", 16), ("mse", 16)):
        make_run(tmp_path / f"{loss}{batch}", config_of(loss, batch), 0.5)
    assert list(tables_of(tmp_path)) == ["table1", "table2", "table3", "readme"]
    (asked,) = build_tables(collect(tmp_path), ["swept"])
    assert [(row.keys["loss"], row.keys["batch_size"]) for row in asked.rows] == [
        ("bce", "2"),
        ("bce", "16"),
        ("mse", "16"),
    ]


@pytest.fixture
def families(tmp_path: Path) -> Path:
    folder = tmp_path / "families"
    for model, base in (("yolactpp_tiny", 0.5), ("maskrcnn_tiny", 0.3)):
        for step, loss in enumerate(("bce", "dice", "label_smoothing_bce")):
            for seed in (0, 1):
                config = config_of(
                    loss,
                    seed=seed,
                    model={"name": model, "width": len(model)},
                    class_loss={"name": f"of_{model}", "gamma": base},
                )
                make_run(folder / f"{model}{loss}{seed}", config, base + step / 10 + seed / 100)
    return folder


@pytest.mark.parametrize("name", ["table2", "readme", "swept"])
def test_families_share_a_table_and_no_row(families: Path, name: str) -> None:
    rows = records(tables_of(families)[name])
    assert not [key for key in rows[0] if key.startswith("class_loss")]
    assert {(row["model"], row["loss"], row["mAP"], row["n"]) for row in rows} == {
        ("yolactpp_tiny", "bce", "50.50", "2"),
        ("yolactpp_tiny", "dice", "60.50", "2"),
        ("yolactpp_tiny", "label_smoothing_bce", "70.50", "2"),
        ("maskrcnn_tiny", "bce", "30.50", "2"),
        ("maskrcnn_tiny", "dice", "40.50", "2"),
        ("maskrcnn_tiny", "label_smoothing_bce", "50.50", "2"),
    }


def test_a_class_loss_that_the_model_does_not_explain_is_shown(families: Path) -> None:
    config = config_of(
        model={"name": "yolactpp_tiny", "width": 13}, class_loss={"name": "focal", "gamma": 2.0}
    )
    make_run(families / "focal", config, 0.9)
    rows = records(tables_of(families)["table2"])
    assert {(row["model"], row["class_loss"]) for row in rows if row["loss"] == "bce"} == {
        ("yolactpp_tiny", "of_yolactpp_tiny"),
        ("yolactpp_tiny", "focal"),
        ("maskrcnn_tiny", "of_maskrcnn_tiny"),
    }


def test_published_figures_leave_the_table_as_it_is(families: Path) -> None:
    table = tables_of(families)["swept"]
    before = list(table.rows)
    add_published(table)
    assert table.rows == before


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "csv", "html"])
def test_the_command_prints_it(
    class_losses: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["tables", str(class_losses), "--format", form, "--table", "swept", "--published"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "soft" in printed
    assert "15.00" in printed


@pytest.mark.parametrize(
    ("sweep", "runs"), [("families", 6), ("objectness", 7), ("class_losses", 5)]
)
def test_the_sweep_files_hold_their_grids(sweep: str, runs: int) -> None:
    content = settings(f"+sweep={sweep}")["sweep"]
    assert content["name"] == sweep
    assert len(parse_grids(content["grids"]).cells()) == runs
