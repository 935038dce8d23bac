"""Tables rebuilt from folders made by hand."""

import csv
import io
from pathlib import Path

import pytest

from sweeps.__main__ import main
from sweeps.collect import collect
from sweeps.published_rows import add_published, published_rows
from sweeps.render import to_csv, to_html, to_latex, to_markdown
from sweeps.table_build import build_tables
from sweeps.table_model import PUBLISHED, Table
from tests.sweeps.hand_made import config_of, hybrid, make_run


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def tables_of(folder: Path) -> dict[str, Table]:
    return {table.name: table for table in build_tables(collect(folder))}


def records(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(table))))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    for number, (batch, segm, bbox) in enumerate([(2, 0.8, 0.7), (8, 0.82, 0.79), (16, 0.81, 0.6)]):
        make_run(folder / f"bce-{number}", config_of("bce", batch), segm, bbox)
    make_run(folder / "mse", config_of("mse"), 0.79)
    make_run(folder / "huber_d2", config_of("huber_d2"), 0.812)
    for alpha in (2, 0.5):
        make_run(folder / f"hy{alpha}", config_of(hybrid("mse", "bce", alpha)), 0.7 + alpha / 100)
    return folder


def test_table1_has_a_row_a_batch_size_and_task(study: Path) -> None:
    rows = records(tables_of(study)["table1"])
    assert list(rows[0]) == ["batch_size", "task", "mAP", "AP50", "AP75", "AP95"]
    assert [tuple(row.values()) for row in rows] == [
        ("2", "bbox", "70.00", "65.00", "62.50", "60.50"),
        ("2", "segm", "80.00", "75.00", "72.50", "70.50"),
        ("8", "bbox", "79.00", "74.00", "71.50", "69.50"),
        ("8", "segm", "82.00", "77.00", "74.50", "72.50"),
        ("16", "bbox", "60.00", "55.00", "52.50", "50.50"),
        ("16", "segm", "81.00", "76.00", "73.50", "71.50"),
    ]


def test_table2_holds_single_losses_at_the_shared_batch_size(study: Path) -> None:
    rows = records(tables_of(study)["table2"])
    assert list(rows[0]) == ["loss", "mAP", "AP50", "AP55", "AP65", "AP75", "AP95"]
    assert [(row["loss"], row["mAP"]) for row in rows] == [
        ("bce", "81.00"),
        ("huber_d2", "81.20"),
        ("mse", "79.00"),
    ]


def test_table3_holds_hybrids_with_their_weights(study: Path) -> None:
    rows = records(tables_of(study)["table3"])
    assert list(rows[0]) == ["loss", "alpha", "beta", "mAP", "AP50", "AP65", "AP75", "AP95"]
    assert [(r["loss"], r["alpha"], r["beta"], r["mAP"]) for r in rows] == [
        ("mse_bce", "2", "1", "72.00"),
        ("mse_bce", "0.5", "1", "70.50"),
    ]


def test_the_readme_table_has_speed_and_ten_thresholds(study: Path) -> None:
    rows = records(tables_of(study)["readme"])
    assert list(rows[0])[:3] == ["loss", "fps", "mAP"]
    assert len(rows[0]) == 13
    assert [row["loss"] for row in rows] == [
        "bce",
        "mse",
        "huber_d2",
        "mse_bce-a0.5",
        "mse_bce-a2",
    ]
    assert rows[0]["fps"] == "20.81"


def test_the_best_of_a_column_is_bold_within_its_task(study: Path) -> None:
    tables = tables_of(study)
    assert "| 8 | bbox | **79.00** |" in to_markdown(tables["table1"])
    assert "| 8 | segm | **82.00** |" in to_markdown(tables["table1"])
    assert r"huber\_d2 & \textbf{81.20}" in to_latex(tables["table2"])
    assert "<td>huber_d2</td><td><b>81.20</b></td>" in to_html(tables["table2"])


def test_seeds_give_mean_sample_deviation_and_n(tmp_path: Path) -> None:
    for seed, ap in enumerate([0.5, 0.6, 0.7]):
        make_run(tmp_path / f"runs/s{seed}", config_of("bce", seed=seed), ap)
    make_run(tmp_path / "runs/other", config_of("mse"), 0.4)
    row, other = records(tables_of(tmp_path / "runs")["table2"])
    assert (row["mAP"], row["mAP_std"], row["AP50_std"], row["n"]) == (
        "60.00",
        "10.00",
        "10.00",
        "3",
    )
    assert (other["mAP"], other["mAP_std"], other["n"]) == ("40.00", "", "1")


def test_a_copy_of_a_run_is_no_second_seed(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a/one", config_of("bce"), 0.5)
    make_run(tmp_path / "runs/b/one", config_of("bce"), 0.5)
    make_run(tmp_path / "runs/c/one", config_of("bce"), state="failed")
    assert records(tables_of(tmp_path / "runs")["table2"])[0]["mAP"] == "50.00"
    assert not tables_of(tmp_path / "runs")["table2"].has_seeds


@pytest.mark.parametrize(
    ("changed", "column", "values"),
    [
        ({"schedule": {"iterations": 90, "lr": 0.001}}, "schedule.iterations", ["60", "90"]),
        ({"protocol": {"name": "yolact", "mask_crop": "zero"}}, "protocol", ["sound", "yolact"]),
        ({"precision": "bf16"}, "precision", ["", "bf16"]),
    ],
)
def test_runs_of_different_settings_are_rows_of_their_own(
    tmp_path: Path, changed: dict, column: str, values: list[str]
) -> None:
    make_run(tmp_path / "runs/a", config_of("bce"), 0.5)
    make_run(tmp_path / "runs/b", config_of("bce", seed=1) | changed, 0.7)
    rows = records(tables_of(tmp_path / "runs")["table2"])
    assert sorted(row[column] for row in rows) == values
    assert {row["mAP"] for row in rows} == {"50.00", "70.00"}


def test_what_a_protocol_brings_along_is_no_column_but_a_schedule_is(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a", config_of("bce", augmentation={"crop": True}), 0.5)
    other = config_of("bce", augmentation={"crop": False})
    other |= {"protocol": {"name": "yolact", "mask_crop": "zero"}}
    other |= {"schedule": {"iterations": 90, "lr": 0.001}}
    make_run(tmp_path / "runs/b", other, 0.7)
    table = tables_of(tmp_path / "runs")["table2"]
    assert table.keys == ["loss", "protocol", "schedule.iterations"]


def test_losses_of_one_name_and_other_arguments_are_told_apart(tmp_path: Path) -> None:
    for delta in (0.25, 0.5):
        loss = {"name": "huber", "_target_": "losses.huber", "delta": delta}
        make_run(tmp_path / f"runs/{delta}", config_of(loss), delta)
    make_run(tmp_path / "runs/bce", config_of("bce"), 0.6)
    rows = records(tables_of(tmp_path / "runs")["table2"])
    assert [(row["loss"], row["loss.delta"], row["mAP"]) for row in rows] == [
        ("bce", "", "60.00"),
        ("huber", "0.25", "25.00"),
        ("huber", "0.5", "50.00"),
    ]


def test_where_files_lie_makes_no_difference(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a", config_of("bce", outputs="here"), 0.5)
    other = config_of("bce", seed=1, outputs="there", runtime={"device": "cuda"})
    other["dataset"]["root"] = "elsewhere"
    make_run(tmp_path / "runs/b", other, 0.7)
    (row,) = records(tables_of(tmp_path / "runs")["table2"])
    assert (row["mAP"], row["n"]) == ("60.00", "2")


def test_a_loss_that_lacks_the_shared_batch_size_stays_and_says_so(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a", config_of("bce", 8), 0.5)
    make_run(tmp_path / "runs/b", config_of("mse", 16), 0.6)
    make_run(tmp_path / "runs/c", config_of("huber", 16), 0.7)
    rows = records(tables_of(tmp_path / "runs")["table2"])
    assert [(row["loss"], row["batch_size"]) for row in rows] == [
        ("bce", "8"),
        ("huber", "16"),
        ("mse", "16"),
    ]


def test_missing_failed_and_running_runs_are_visible(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a", config_of("bce"), 0.5)
    make_run(tmp_path / "runs/b", config_of("bce", seed=1), state="failed", reason="nan")
    make_run(tmp_path / "runs/c", config_of("mse"))
    make_run(tmp_path / "runs/d", config_of("dice"), state="running")
    make_run(tmp_path / "runs/e", config_of("huber"), state="finished")
    rows = {row["loss"]: row for row in records(tables_of(tmp_path / "runs")["table2"])}
    assert (rows["bce"]["mAP"], rows["bce"]["state"]) == ("50.00", "1 failed (nan)")
    assert (rows["mse"]["mAP"], rows["mse"]["state"]) == ("", "planned")
    assert rows["dice"]["state"] == "running"
    assert rows["huber"]["state"] == "incomplete (no eval.json)"
    assert "| mse | — |" in to_markdown(tables_of(tmp_path / "runs")["table2"])


def test_an_ap_near_zero_is_a_row_like_any_other(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a", config_of("dice"), 0.0)
    assert records(tables_of(tmp_path / "runs")["table2"])[0]["mAP"] == "0.00"


def test_published_rows_stand_under_their_measured_ones(study: Path) -> None:
    table = tables_of(study)["table2"]
    add_published(table)
    assert [(row.keys["loss"], row.source) for row in table.rows][:4] == [
        ("bce", "measured"),
        ("bce", "published"),
        ("huber_d2", "measured"),
        ("huber_d2", "published"),
    ]
    assert sum(row.source == PUBLISHED for row in table.rows) == 6
    assert "| bce | published | 83.65 |" in to_markdown(table)


@pytest.mark.parametrize(
    ("name", "count", "keys", "ap"),
    [
        ("table1", 6, {"batch_size": "16", "task": "segm"}, 84.67),
        ("table2", 6, {"loss": "huber_d3"}, 76.74),
        ("table3", 12, {"loss": "huber_mse", "alpha": "1", "beta": "1"}, 78.39),
        ("readme", 9, {"loss": "log_cosh_bce"}, 80.65),
    ],
)
def test_published_figures(name: str, count: int, keys: dict, ap: float) -> None:
    rows = published_rows(name)
    assert len(rows) == count
    assert next(row for row in rows if row.keys == keys).cells["mAP"].mean == ap


@pytest.mark.parametrize("content", ["", '{"schema_version": 1', "[]", '{"schema_version": 7}'])
def test_a_corrupt_result_is_named_and_the_rest_is_shown(
    study: Path, capsys: pytest.CaptureFixture, content: str
) -> None:
    (study / "mse" / "eval.json").write_text(content)
    assert main(["tables", str(study), "--format", "csv", "--table", "table2"]) == 1
    out, err = capsys.readouterr()
    assert "mse/eval.json" in err
    rows = {row["loss"]: row for row in csv.DictReader(io.StringIO(out))}
    assert rows["mse"]["state"] == "corrupt (eval.json)"
    assert rows["bce"]["mAP"] == "81.00"


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "csv", "html"])
def test_every_format_shows_all_tables_with_status_0(
    study: Path, capsys: pytest.CaptureFixture, form: str
) -> None:
    assert main(["tables", str(study), "--format", form, "--published"]) == 0
    out = capsys.readouterr().out
    for figure in ("82.00", "84.67", "71.56", "84.43", "49.81"):
        assert figure in out


def test_tables_can_be_written_to_files(study: Path, tmp_path: Path) -> None:
    assert main(["tables", str(study), "--format", "latex", "--output", str(tmp_path / "t")]) == 0
    names = sorted(path.name for path in (tmp_path / "t").iterdir())
    assert names == ["readme.tex", "table1.tex", "table2.tex", "table3.tex"]


def test_config_names_are_escaped(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a", config_of("<b>|_&x"), 0.5)
    table = tables_of(tmp_path / "runs")["table2"]
    assert "&lt;b&gt;|_&amp;x" in to_html(table)
    assert r"<b>|\_\&x" in to_latex(table)
    assert r"\<b>\|_&x" in to_markdown(table)


def test_no_runs_and_no_folder_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["tables", str(tmp_path / "empty")]) == 1
    assert "no run" in capsys.readouterr().err
    assert main(["tables", str(tmp_path / "nowhere")]) == 2
    assert "is no folder" in capsys.readouterr().err
