import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from yolactpp.engine.stop_signals import StopSignals


@pytest.fixture(autouse=True)
def handlers_restored() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "preempted"),
        (signal.SIGUSR2, "preempted"),
    ],
)
def test_a_signal_asks_to_stop(number: signal.Signals, reason: str) -> None:
    reasons: list[str] = []
    before = signal.getsignal(number)
    with StopSignals(reasons.append):
        os.kill(os.getpid(), number)
    assert reasons == [reason]
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    reasons: list[str] = []
    with StopSignals(reasons.append):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert reasons == ["interrupted"]


def test_the_handler_before_gets_the_signal_afterwards() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, _frame: seen.append(number))
    with StopSignals(lambda _reason: None) as signals:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert seen == []
        signals.forward()
    assert seen == [signal.SIGUSR2]


def test_python_s_own_handler_is_not_called() -> None:
    with StopSignals(lambda _reason: None) as signals:
        signals.forward()
        os.kill(os.getpid(), signal.SIGINT)
        signals.forward()


def test_other_threads_are_left_alone() -> None:
    entered = []

    def work() -> None:
        with StopSignals(lambda _reason: None):
            entered.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [before]


def forked(work: Callable[[], None]) -> int:
    """A child that runs `work` and then sleeps; its process id, once it sleeps."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        work()
        os.write(writer, b".")
        while True:
            time.sleep(1)
    os.read(reader, 1)
    return child


def is_alive(child: int) -> bool:
    time.sleep(0.3)
    return os.waitpid(child, os.WNOHANG) == (0, 0)


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGINT, signal.SIGTERM])
def test_a_worker_outlives_what_the_scheduler_sends_to_all(number: signal.Signals) -> None:
    with StopSignals(lambda _reason: None):
        child = forked(lambda: None)
        os.kill(child, number)
        os.kill(os.getpid(), number)
        assert is_alive(child)
        end(child)


def test_a_worker_that_the_run_alone_ends_dies() -> None:
    with StopSignals(lambda _reason: None):
        child = forked(lambda: None)
    os.kill(child, signal.SIGTERM)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM
