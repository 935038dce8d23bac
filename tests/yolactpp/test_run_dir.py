import json
import math
from pathlib import Path

import pytest

from yolactpp.run_dir import (
    CorruptFileError,
    RunDir,
    append_jsonl,
    find_runs,
    read_json,
    read_jsonl,
    update_status,
    write_bytes,
    write_json,
)

COMPLETE = {"schema_version": 1, "metrics": {"bbox": {"AP": 0.5}, "segm": {"AP": 0.5}}}


def test_json_is_replaced_whole_and_nan_becomes_null(tmp_path: Path) -> None:
    path = tmp_path / "new" / "eval.json"
    write_json(path, {"AP": math.nan, "list": [math.inf, 1.5]})
    assert json.loads(path.read_text()) == {"AP": None, "list": [None, 1.5]}
    assert [each.name for each in path.parent.iterdir()] == ["eval.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_json(path, {"state": "running"})
    with pytest.raises(TypeError):
        write_bytes(path, "text instead of bytes")  # type: ignore[arg-type]
    assert read_json(path) == {"state": "running"}
    assert [each.name for each in tmp_path.iterdir()] == ["status.json"]


@pytest.mark.parametrize("content", ["", '{"schema_version": 1, "metr', "[1, 2]"])
def test_a_half_written_evaluation_is_named(tmp_path: Path, content: str) -> None:
    run = RunDir(tmp_path)
    run.evaluation.write_text(content)
    with pytest.raises(CorruptFileError, match=r"eval\.json"):
        run.read_evaluation()
    assert not run.is_finished()


@pytest.mark.parametrize(
    "change", [{"schema_version": 2}, {"metrics": {"bbox": {}}}, {"metrics": None}]
)
def test_an_evaluation_of_another_form_is_refused(tmp_path: Path, change: dict) -> None:
    run = RunDir(tmp_path)
    write_json(run.evaluation, COMPLETE | change)
    with pytest.raises(CorruptFileError):
        run.read_evaluation()


def test_a_run_is_finished_by_its_evaluation(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.read_evaluation() is None
    assert not run.is_finished()
    write_json(run.evaluation, COMPLETE)
    assert run.is_finished()


def test_a_last_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_jsonl(path) == []
    append_jsonl(path, {"iteration": 1, "loss": math.nan})
    with path.open("a") as file:
        file.write('{"iteration": 2, "lo')
    assert read_jsonl(path) == [{"iteration": 1, "loss": None}]


def test_status_keeps_what_is_not_changed(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    update_status(run, state="running", iteration=3)
    status = update_status(run, iteration=4)
    assert status["state"] == "running"
    assert status["iteration"] == 4
    assert read_json(run.status)["heartbeat"] == status["heartbeat"]


def test_runs_are_found_at_any_depth_but_not_inside_each_other(tmp_path: Path) -> None:
    for name in ("sweep/b-1", "sweep/a-2", "sweep/a-2/inner", "other", ".hidden/c-3"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").touch()
    found = [run.path.relative_to(tmp_path).as_posix() for run in find_runs(tmp_path)]
    assert found == ["other", "sweep/a-2", "sweep/b-1"]
    assert [run.path for run in find_runs(tmp_path / "other")] == [tmp_path / "other"]
