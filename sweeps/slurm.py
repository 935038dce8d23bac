"""The SLURM executor: submitit's job arrays in chunks, squeue, sacct where there is accounting."""

from __future__ import annotations

import re
import shlex
import subprocess
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sweeps.executor import JobView, Order
from sweeps.job import RunJob
from sweeps.slurm_views import slurm_views
from sweeps.snapshot import job_environment

T = TypeVar("T")
# Notes start and exit of the job as a whole; the shell outlives every task that it watches.
EVENTS = r"""
job="${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}"; job="${job:-$SLURM_JOB_ID}"
note() {
  printf '{"event": "%s", "time": %s, "restart": %s, "node": "%s"%s}\n' "$1" "$(date +%s)" \
    "${SLURM_RESTART_COUNT:-0}" "$SLURM_JOB_NODELIST" "$2" >> "$jobs/${job}_events.jsonl"
}
trap 'code=$?; note exit ", \"code\": $code"' EXIT
note start ""
"""


class SlurmExecutor:
    """Jobs on the cluster that this machine's sbatch reaches."""

    name = "slurm"

    def submit(self, order: Order) -> Iterable[dict[Path, str]]:
        """Submit job arrays of at most MaxArraySize runs.

        The cap on parallel runs is shared out over the arrays; where there are more arrays than
        the cap allows, the later ones wait for earlier ones.

        Raises:
            RuntimeError: sbatch refused; what it said is in the message.
        """
        resources = order.resources
        chunks = split(order.runs, max_array_size())
        caps = share_out(resources.array_parallelism, [len(chunk) for chunk in chunks])
        lanes = sum(cap > 0 for cap in caps)
        first_jobs: list[str] = []
        for number, chunk in enumerate(chunks):
            after = first_jobs[number - lanes] if number >= lanes else None
            jobs = self._submit_chunk(order, chunk, max(1, caps[number]), after)
            first_jobs.append(jobs[0].split("_")[0])
            yield dict(zip(chunk, jobs, strict=True))

    def started(self, hidden: Path) -> None:
        """Nothing to do: the cluster's daemons start the jobs."""

    def views(self, jobs: Sequence[str], hidden: Path) -> dict[str, JobView]:
        """squeue for the living, the jobs' own notes and accounting for the rest."""
        return slurm_views(jobs, hidden / "jobs")

    def cancel(self, jobs: Sequence[str], hidden: Path) -> None:  # noqa: ARG002
        """scancel by job id."""
        for some in split(list(jobs), 200):
            subprocess.run(["scancel", *some], check=True, timeout=60)

    def _submit_chunk(
        self, order: Order, chunk: Sequence[Path], parallelism: int, after: str | None
    ) -> list[str]:
        import submitit

        resources = order.resources
        jobs = order.hidden / "jobs"
        jobs.mkdir(parents=True, exist_ok=True)
        job = RunJob(
            jobs=str(jobs),
            timeout_s=60 * resources.timeout_min,
            signal_delay_s=resources.signal_delay_s,
            max_timeouts=resources.max_num_timeout,
            max_preemptions=order.max_requeues,
        )
        try:
            executor = submitit.SlurmExecutor(jobs, max_num_timeout=resources.max_num_timeout)
            executor.update_parameters(**sbatch_parameters(order, parallelism, after))
            with submitit.helpers.clean_env(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a missing sacct, which we can do without
                submitted = executor.map_array(job, [str(run) for run in chunk])
        except (submitit.core.utils.FailedJobError, subprocess.CalledProcessError) as error:
            raise RuntimeError(f"sbatch refused: {' '.join(str(error).split())}") from error
        return [str(each.job_id) for each in submitted]


def sbatch_parameters(order: Order, parallelism: int, after: str | None) -> dict[str, Any]:
    """What submitit's SLURM executor is told; see its `update_parameters`."""
    resources = order.resources
    environment = [f"export {k}={shlex.quote(v)}" for k, v in job_environment(order.code).items()]
    jobs = f"jobs={shlex.quote(str(order.hidden / 'jobs'))}"
    parameters: dict[str, Any] = {
        "job_name": order.name,
        "time": resources.timeout_min,
        "nodes": resources.nodes,
        "ntasks_per_node": resources.tasks_per_node,
        "signal_delay_s": resources.signal_delay_s,
        "array_parallelism": parallelism,
        "stderr_to_stdout": True,
        "srun_args": ["--kill-on-bad-exit=1"],
        "setup": [jobs, *EVENTS.strip().splitlines(), *environment, *resources.setup],
        "additional_parameters": {"requeue": True, **resources.additional_parameters},
        **resources.slurm,
    }
    if after is not None:
        parameters["dependency"] = f"afterany:{after}"
    if resources.cpus_per_task is not None:
        parameters["cpus_per_task"] = resources.cpus_per_task
    if resources.gpus_per_node:
        parameters["gpus_per_node"] = resources.gpus_per_node
    if resources.mem_gb is not None:
        parameters["mem"] = f"{round(1024 * resources.mem_gb)}MB"
    return parameters


def max_array_size() -> int:
    """Largest number of tasks of one array, from `scontrol show config`.

    Raises:
        RuntimeError: no SLURM answers here.
    """
    try:
        output = subprocess.run(
            ["scontrol", "show", "config"], check=True, capture_output=True, text=True, timeout=60
        ).stdout
    except FileNotFoundError as error:
        raise RuntimeError(
            "there is no scontrol here: use hydra/launcher=local, or log in to the cluster"
        ) from error
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", "") or str(error)
        raise RuntimeError(f"SLURM does not answer: {' '.join(said.split())}") from error
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", output)
    return max(1, int(found.group(1))) if found else 1000


def split(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Pieces of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def share_out(cap: int, sizes: Sequence[int]) -> list[int]:
    """Share a cap on parallel runs out over arrays: never more in sum, never more than a size."""
    shares = [0] * len(sizes)
    while cap > 0 and shares != list(sizes):
        for number, size in enumerate(sizes):
            if cap > 0 and shares[number] < size:
                shares[number] += 1
                cap -= 1
    return shares
