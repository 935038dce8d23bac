"""An executor that runs nothing, and a training that obeys a file: scheduler logic, fast."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from sweeps.executor import JobView, Life, Order
from sweeps.snapshot import take_snapshot


class FakeExecutor:
    """Jobs are lines of a file, so that several processes can share it; views are what one sets.

    Args:
        file: one line a queued job.
        name: the executor that it stands for.
        piece: runs handed over at a time.
        breaks_after: pieces after which the queue refuses more; None never does.
    """

    def __init__(
        self, file: Path, name: str = "local", piece: int = 2, breaks_after: int | None = None
    ) -> None:
        self.file = file
        self.name = name
        self.piece = piece
        self.breaks_after = breaks_after
        self.known: dict[str, JobView] = {}
        self.cancelled: list[str] = []
        self.orders: list[Order] = []

    def submit(self, order: Order) -> Iterable[dict[Path, str]]:
        self.orders.append(order)
        for number, start in enumerate(range(0, len(order.runs), self.piece)):
            if self.breaks_after is not None and number >= self.breaks_after:
                raise RuntimeError("sbatch refused: QOSMaxSubmitJobPerUserLimit")
            jobs = {}
            for run in order.runs[start : start + self.piece]:
                with self.file.open("a") as file:
                    file.write(f"{run.name}\n")
                    jobs[run] = f"F{file.tell()}"
            yield jobs

    def started(self, hidden: Path) -> None:
        assert hidden.is_dir()

    def views(self, jobs: Sequence[str], hidden: Path) -> dict[str, JobView]:  # noqa: ARG002
        return {job: self.known.get(job, JobView(Life.PENDING, "PENDING")) for job in jobs}

    def cancel(self, jobs: Sequence[str], hidden: Path) -> None:  # noqa: ARG002
        self.cancelled.extend(jobs)

    @property
    def queued(self) -> list[str]:
        """Names of all runs ever queued."""
        return self.file.read_text().split() if self.file.exists() else []


OBEDIENT = """
import json, os, signal, sys, time
from pathlib import Path
from yolactpp.engine.failures import RunStopped
from yolactpp.run_dir import RunDir, update_status, write_json

def train_run(folder, machine=None, on_validation=None):
    run = RunDir(Path(folder))
    rank = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))
    wish = json.loads((run.path / "wish.json").read_text())
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    starts = run.path / "starts"
    with starts.open("a") as file:
        file.write(json.dumps({"gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
                               "rank": rank, "time": time.time()}) + "\\n")
    update_status(run, state="running")
    print("training", run.path.name, flush=True)
    end = time.time() + wish.get("seconds", 0)
    while time.time() < end and not stopped:
        time.sleep(0.05)
    if stopped:
        update_status(run, state="preempted", reason="preempted")
        raise RunStopped("preempted", 1)
    if wish.get("kill") and rank == str(wish.get("rank", 0)):
        os.kill(os.getpid(), signal.SIGKILL)
    if wish.get("fail"):
        update_status(run, state="failed", reason="nan", message="mask is not finite")
        raise RuntimeError("mask is not finite")
    if rank == "0" and not wish.get("silent"):
        metrics = {"AP": 0.5}
        write_json(run.evaluation, {"schema_version": 1,
                                    "metrics": {"bbox": metrics, "segm": metrics}})
        update_status(run, state="finished", reason=None)
    return 0.5
"""


def obedient_code(hidden: Path) -> Path:
    """A source snapshot whose training does what `wish.json` in a run's folder says."""
    code = take_snapshot(hidden)
    (code / "yolactpp" / "train.py").write_text(OBEDIENT)
    return code


def wish(run: Path, **wishes: object) -> None:
    """Say what training a run shall do: seconds, kill, rank, fail, silent."""
    (run / "wish.json").write_text(json.dumps(wishes))
