import io
import logging

import pytest
from rich.console import Console

from yolactpp.engine.progress import (
    PlainProgress,
    RichProgress,
    SilentProgress,
    choose_progress,
    clock,
)
from yolactpp.engine.throughput import Throughput

LOSSES = {"box": 1.0, "mask": 2.0, "mask/bce": 2.0, "total": 3.0}


def test_a_bar_shows_losses_speed_and_time_left() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=140)
    progress = RichProgress(console)
    progress.start(0, 10)
    progress.update(4, LOSSES, 12.34, 65.0)
    progress.stop()
    shown = stream.getvalue()
    for piece in ("4/10", "total 3", "box 1", "mask 2", "12.3 img/s", "ETA 0:01:05"):
        assert piece in shown
    assert "mask/bce" not in shown


def test_plain_lines_are_few_but_the_last_is_there(caplog: pytest.LogCaptureFixture) -> None:
    progress = PlainProgress(every_s=3600)
    with caplog.at_level(logging.INFO):
        progress.start(0, 5)
        for iteration in range(1, 6):
            progress.update(iteration, LOSSES, 8.0, 3.0)
        progress.stop()
    assert [record.getMessage()[:3] for record in caplog.records] == ["1/5", "5/5"]
    assert "total 3  box 1  mask 2  8.0 img/s  ETA 0:00:03" in caplog.text


def test_auto_is_plain_where_no_terminal_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(choose_progress("auto"), PlainProgress)
    assert isinstance(choose_progress("bar"), RichProgress)
    assert isinstance(choose_progress("none"), SilentProgress)


def test_an_unknown_kind_lists_the_good_ones() -> None:
    with pytest.raises(ValueError, match=r"runtime.progress=dots: choose auto, bar, plain, none"):
        choose_progress("dots")


def test_clock() -> None:
    assert [clock(0.4), clock(59.6), clock(3725)] == ["0:00:00", "0:01:00", "1:02:05"]


def test_throughput_leaves_pauses_out() -> None:
    times = iter([0.0, 1.0, 3.0, 100.0, 102.0])
    throughput = Throughput(8, lambda: next(times))
    assert throughput.images_per_second == 0.0
    assert throughput.eta_s(10) == 0.0
    throughput.step()
    throughput.step()
    assert throughput.images_per_second == pytest.approx(16 / 3)
    assert throughput.eta_s(10) == pytest.approx(15.0)
    throughput.pause()
    throughput.step()
    throughput.step()
    assert throughput.images_per_second == pytest.approx(24 / 5)
