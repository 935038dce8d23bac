import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from yolactpp.engine.run_lock import RunLock

HOLD = """
import sys, time
from pathlib import Path
from yolactpp.engine.run_lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_holds_it(tmp_path: Path, holder: subprocess.Popen) -> None:
    with (
        pytest.raises(TimeoutError, match=f"in use by process {holder.pid} on"),
        RunLock(tmp_path, timeout_s=0.0),
    ):
        pass


def test_a_killed_holder_frees_it(tmp_path: Path, holder: subprocess.Popen) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    with RunLock(tmp_path, timeout_s=10.0) as lock:
        assert f'"pid": {os.getpid()}' in lock.path.read_text()


def test_it_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with RunLock(tmp_path, timeout_s=0.0):
            pass
