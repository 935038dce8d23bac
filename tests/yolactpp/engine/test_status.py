import logging
import time
from pathlib import Path

import pytest

from yolactpp.engine import status as status_module
from yolactpp.engine.status import RunStatus
from yolactpp.run_dir import RunDir, State, read_json


def test_a_state_is_written_at_once(tmp_path: Path) -> None:
    status = RunStatus(RunDir(tmp_path))
    status.report(iteration=3, losses={"mask": float("nan")})
    assert not (tmp_path / "status.json").exists()
    status.set_state(State.FAILED, reason="nan", message="mask is not finite")
    written = read_json(tmp_path / "status.json")
    assert written["state"] == "failed"
    assert written["reason"] == "nan"
    assert written["iteration"] == 3
    assert written["losses"] == {"mask": None}
    assert written["pid"] > 0
    assert abs(written["heartbeat"] - time.time()) < 60


def test_the_heart_beats_by_itself(tmp_path: Path) -> None:
    status = RunStatus(RunDir(tmp_path), heartbeat_s=0.02)
    with status:
        status.set_state(State.RUNNING)
        first = read_json(tmp_path / "status.json")["heartbeat"]
        status.report(iteration=5)
        deadline = time.monotonic() + 10
        while read_json(tmp_path / "status.json").get("iteration") != 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    written = read_json(tmp_path / "status.json")
    assert written["heartbeat"] > first
    assert written["state"] == "running"


def test_a_full_disk_is_logged_and_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_arguments: object, **_changes: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(status_module, "update_status", full)
    with caplog.at_level(logging.WARNING):
        RunStatus(RunDir(tmp_path)).set_state(State.FAILED)
    assert "No space left on device" in caplog.text


def test_what_others_wrote_is_kept(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"job": "17", "state": "planned"}')
    RunStatus(RunDir(tmp_path)).set_state(State.RUNNING)
    assert read_json(tmp_path / "status.json")["job"] == "17"
