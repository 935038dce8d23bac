"""The frame: columns, states, the cache and what makes it read again."""

import os
from pathlib import Path

import pytest
import yaml

import sweeps
from sweeps.collect import cache_file, collect
from sweeps.sections import SectionTable, cut
from tests.sweeps.hand_made import config_of, hybrid, make_run


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_frame_holds_settings_beside_metrics(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a-00000001", config_of(hybrid("mse", "bce", 0.5), 8, seed=3), 0.4)
    frame = sweeps.collect(tmp_path / "runs")
    row = frame.iloc[0]
    assert (row["loss"], row["alpha"], row["beta"], row["hybrid"]) == ("mse_bce", 0.5, 1, True)
    assert (row["batch_size"], row["seed"], row["state"]) == (8, 3, "finished")
    assert row["loss.first._target_"] == "losses.mse"
    assert row["segm.AP50"] == pytest.approx(0.35)
    assert row["fps"] == pytest.approx(20.4)
    assert row["run_id"] == "00000001"
    assert not any("per_class" in column for column in frame.columns)


def test_several_folders_join_and_a_run_met_twice_counts_once(tmp_path: Path) -> None:
    make_run(tmp_path / "x/a", config_of("bce"), 0.4)
    make_run(tmp_path / "y/b", config_of("mse"), 0.5)
    frame = collect([tmp_path / "x", tmp_path / "y", tmp_path])
    assert sorted(frame["loss"]) == ["bce", "mse"]


def test_the_setting_leaves_out_seed_paths_and_machine(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a", config_of(seed=0, runtime={"workers": 1}))
    make_run(tmp_path / "runs/b", config_of(seed=1, runtime={"workers": 4}))
    make_run(tmp_path / "runs/c", config_of(seed=1, precision="bf16"))
    settings = collect(tmp_path / "runs").set_index("name")["setting"]
    assert settings["a"] == settings["b"] != settings["c"]


def test_order_of_keys_and_kind_of_number_do_not_matter(tmp_path: Path) -> None:
    config = config_of(hybrid("mse", "bce", 1))
    make_run(tmp_path / "runs/a", config)
    swapped = dict(reversed(config.items())) | {"loss": config["loss"] | {"alpha": 1.0}}
    make_run(tmp_path / "runs/b", swapped)
    assert collect(tmp_path / "runs")["setting"].nunique() == 1


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, "planned"),
        ({"state": "running"}, "running"),
        ({"state": "failed", "reason": "oom"}, "failed"),
        ({"state": "finished"}, "incomplete"),
    ],
)
def test_states_without_a_result(tmp_path: Path, status: dict, state: str) -> None:
    make_run(tmp_path / "runs/a", config_of(), **status)
    assert collect(tmp_path / "runs")["state"].tolist() == [state]


@pytest.mark.parametrize("text", ["loss: [", "- a\n", "loss: {name: x}\n"])
def test_a_config_that_is_none_is_a_problem_not_an_end(tmp_path: Path, text: str) -> None:
    make_run(tmp_path / "runs/a", config_of(), 0.5)
    make_run(tmp_path / "runs/b", config_of()).config.write_text(text)
    frame = collect(tmp_path / "runs")
    assert frame["state"].tolist() == ["finished", "corrupt"]
    assert len(frame.attrs["problems"]) == 1
    assert "b/config.yaml" in frame.attrs["problems"][0]


def test_the_cache_is_used_and_notices_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_run(tmp_path / "runs/a", config_of(), 0.5)
    make_run(tmp_path / "runs/b", config_of("mse"), state="running")
    before = collect(tmp_path / "runs")
    assert cache_file(tmp_path / "runs").exists()
    read = []
    original = sweeps.collect.__globals__["read_record"]
    monkeypatch.setitem(
        sweeps.collect.__globals__,
        "read_record",
        lambda run, *rest: read.append(run.path.name) or original(run, *rest),
    )
    assert collect(tmp_path / "runs").equals(before)
    assert read == []
    first.evaluation.write_text(first.evaluation.read_text().replace("0.5", "0.6"))
    os.utime(first.evaluation, ns=(1, 1))
    assert collect(tmp_path / "runs")["segm.AP"].max() == 0.6
    assert read == ["a"]
    make_run(tmp_path / "runs/c", config_of("huber"), 0.1)
    assert len(collect(tmp_path / "runs")) == 3


def test_a_broken_cache_is_written_anew(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a", config_of(), 0.5)
    collect(tmp_path / "runs")
    cache_file(tmp_path / "runs").write_text('{"version": 1}')
    assert collect(tmp_path / "runs")["segm.AP"].tolist() == [0.5]


@pytest.mark.parametrize(
    "text",
    [
        yaml.safe_dump(config_of(hybrid("mse", "bce", 2)), sort_keys=False),
        "a: 1\nb:\n- 1\n- x: 2\n  y: 3\nc: 'text: with colon'\n",
        "a: &x {b: 1}\nc: *x\n",
        "a: {b: 1,\n c: 2}\nd: |\n  loss: x\n\n  more\ne: 1\n",
        "'quoted key': 1\nb: 2\n",
        "---\na: 1\n",
        "# comment\na: 1 # more\n",
    ],
)
def test_sections_read_as_the_whole_text_does(text: str) -> None:
    table = SectionTable()
    leaves: dict = {}
    for number in table.read(text):
        leaves |= table.sections[number].leaves
    whole = SectionTable()
    whole._add("all", yaml.safe_load(text))
    expected = {name.removeprefix("all."): v for name, v in whole.sections[0].leaves.items()}
    assert leaves == expected
    assert "".join(cut(text)) == text


def test_reading_runs_imports_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    make_run(tmp_path / "runs/a", config_of(), 0.5)
    program = (
        "import sys; from sweeps.__main__ import main;"
        f"main(['tables', {str(tmp_path / 'runs')!r}]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
