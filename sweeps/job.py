"""What a job runs: one frozen run to its end, whatever the scheduler does to it in between.

On SLURM the preemption signal (USR2, also sent before a timeout) ends training with a checkpoint;
rank 0 then requeues the job, which goes on in the same folder, until the limit is reached. Nothing
else is ever requeued: a run that raises, or loses a rank, ends its job with a status other than 0.
In the local pool the same function runs in a process of its own: `python -m sweeps.job FOLDER`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from sweeps.ledger import note_event
from yolactpp.engine.failures import RunStopped
from yolactpp.run_dir import RunDir, State, read_jsonl, update_status

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
KILLED_WITHIN_S = 900  # a job that only got SIGTERM waits so long for the kill that follows it
CLOCK_S = 60  # SLURM may signal a timeout this much earlier than it was asked to


@dataclass
class RunJob:
    """The callable that submitit pickles; it names folders and numbers and holds no code.

    Args:
        jobs: folder of the jobs' logs and events.
        timeout_s, signal_delay_s: as the job was submitted; they tell a timeout from a preemption.
        max_timeouts, max_preemptions: how often the job may be requeued for either.
    """

    jobs: str
    timeout_s: float
    signal_delay_s: float
    max_timeouts: int
    max_preemptions: int

    def __call__(self, folder: str) -> float | None:
        """Train; requeue this job where the scheduler asked for its end.

        Raises:
            Exception: what the run raised; submitit stores it and the job's status is not 0.
        """
        import submitit

        started = time.time()
        env = submitit.JobEnvironment()
        heard = HeardSignals()
        try:
            from yolactpp.train import train_run

            return train_run(Path(folder))
        except RunStopped:
            if env.global_rank != 0:
                return None  # rank 0 decides; a status of 0 leaves it the time
            if signal.SIGUSR2 not in heard.numbers():
                wait_for_kill()
            self._requeue(env.job_id, RunDir(Path(folder)), time.time() - started)

    def checkpoint(self, folder: str) -> Any:
        """What submitit would requeue, were the signal to come before the run has begun."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, folder)

    def _requeue(self, job: str, run: RunDir, elapsed_s: float) -> NoReturn:
        before = read_jsonl(Path(self.jobs) / f"{job}_events.jsonl")
        why = reason_to_stop(elapsed_s, self.timeout_s, self.signal_delay_s)
        limit = self.max_timeouts if why == "timeout" else self.max_preemptions
        count = sum(each["event"] == "requeue" and each["why"] == why for each in before)
        if count >= limit:
            message = f"{why} after {count} requeues, the limit"
            update_status(run, state=str(State.FAILED), reason=why, message=message)
            sys.exit(1)
        note_event(Path(self.jobs), job, "requeue", why=why)
        update_status(run, state=str(State.PREEMPTED), reason=why)
        subprocess.run(["scontrol", "requeue", job], check=True, timeout=60)
        wait_for_kill()


class HeardSignals:
    """Every signal this process was sent, also those that training's own handlers received.

    A signal that comes while nothing else handles it ends the run at once: there is nothing to
    save before training has begun.
    """

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(write, False)
        self._numbers: set[int] = set()
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, _stop_before_training)

    def numbers(self) -> set[int]:
        """The signals so far."""
        try:
            while received := os.read(self._read, 1024):
                self._numbers.update(received)
        except BlockingIOError:
            pass
        return self._numbers


def reason_to_stop(elapsed_s: float, timeout_s: float, signal_delay_s: float) -> str:
    """A job signalled near the end of its time timed out; at any other moment it was preempted."""
    near_end = elapsed_s >= timeout_s - signal_delay_s - CLOCK_S
    return "timeout" if near_end else "preempted"


def wait_for_kill() -> NoReturn:
    """Stay until the scheduler ends this process, which is about to happen."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(KILLED_WITHIN_S)
    sys.exit(143)


def _stop_before_training(_number: int, frame: FrameType | None) -> None:
    if frame is not None:  # None: training, which has stopped already, hands its signal on
        raise RunStopped("preempted", 0)


def main() -> None:
    """One run of the local pool; its exit status is that of `python -m yolactpp.train`."""
    from yolactpp import cli
    from yolactpp.engine.run_log import log_to_stderr
    from yolactpp.train import train_run

    log_to_stderr()
    try:
        train_run(Path(sys.argv[1]))
    except Exception as error:
        print(f"error: {cli.describe(error, 'train')}", file=sys.stderr)
        sys.exit(cli.exit_status(error))


if __name__ == "__main__":
    main()
