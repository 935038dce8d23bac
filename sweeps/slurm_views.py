"""What SLURM knows of jobs: squeue for the living, the jobs' own notes and sacct for the others.

Only squeue can say that a job is gone. Where it does not answer every job stays `unknown`: nothing
that may be alive is called dead. Accounting (sacct) is asked where it exists and adds words such as
TIMEOUT or OUT_OF_MEMORY; without it the controller's memory of the last minutes does, and the
exit status that the job's shell noted.
"""

from __future__ import annotations

import getpass
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from sweeps.executor import JobView, Life
from yolactpp.run_dir import read_jsonl

ALIVE_PENDING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"}
FINAL = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL"}
FINAL |= {"DEADLINE", "OUT_OF_MEMORY"}


def slurm_views(jobs: Sequence[str], notes: Path) -> dict[str, JobView]:
    """A view of each job; at most three commands, however many jobs there are.

    Args:
        jobs: ids, `12` or, in an array, `12_3`.
        notes: folder of the jobs' own event files.
    """
    if not jobs:
        return {}
    queue = _squeue()
    if queue is None:
        return {job: JobView(Life.UNKNOWN, "squeue does not answer") for job in jobs}
    views = {job: queue[job] for job in jobs if job in queue}
    ended = [job for job in jobs if job not in views]
    recorded = {**_scontrol(), **_sacct(ended)} if ended else {}
    for job in ended:
        views[job] = ended_view(read_jsonl(notes / f"{job}_events.jsonl"), recorded.get(job))
    return views


def ended_view(events: Sequence[dict], recorded: JobView | None) -> JobView:
    """A job that is in no queue any more, from what it noted and what SLURM recorded.

    Its own note of the exit status goes first: sacct shows 137 as 9. A note from before a requeue
    says nothing of the end.
    """
    last = [each for each in events if each["event"] in ("start", "exit")][-1:]
    exits = [each for each in last if each["event"] == "exit"]
    node = next((each["node"] for each in reversed(events) if each.get("node")), "")
    code = exits[-1]["code"] if exits else None
    if recorded is not None:
        known = code if code is not None else recorded.exit_code
        return JobView(Life.ENDED, recorded.word, recorded.node or node, known)
    if code is None:
        return JobView(Life.ENDED, "", node)
    return JobView(Life.ENDED, "COMPLETED" if code == 0 else "FAILED", node, code)


def _squeue() -> dict[str, JobView] | None:
    output = _output(
        ["squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%i|%T|%N"]
    )
    if output is None:
        return None
    views = {}
    for line in filter(str.strip, output.splitlines()):
        job, word, node = line.strip().split("|")
        if word not in FINAL:  # squeue shows ended jobs for a moment while they complete
            life = Life.PENDING if word in ALIVE_PENDING else Life.RUNNING
            views[job] = JobView(life, word, node)
    return views


def _scontrol() -> dict[str, JobView]:
    """Jobs that the controller still remembers, MinJobAge seconds after their end."""
    output = _output(["scontrol", "show", "jobs", "--oneliner"]) or ""
    views = {}
    for line in output.splitlines():
        fields = dict(re.findall(r"(\w+)=(\S*)", line))
        word = fields.get("JobState", "")
        if word in FINAL:
            job = fields["JobId"]
            if "ArrayJobId" in fields and fields.get("ArrayTaskId", "").isdigit():
                job = f"{fields['ArrayJobId']}_{fields['ArrayTaskId']}"
            node = fields.get("NodeList", "")
            views[job] = JobView(
                Life.ENDED, word, "" if node == "(null)" else node, _code(fields.get("ExitCode"))
            )
    return views


def _sacct(jobs: Iterable[str]) -> dict[str, JobView]:
    """Jobs that accounting knows; nothing where there is none."""
    ids = ",".join(sorted({job.split("_")[0] for job in jobs}))
    command = ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={ids}"]
    output = _output([*command, "--format=JobID,State,NodeList,ExitCode"]) or ""
    views = {}
    for line in output.splitlines():
        fields = line.split("|")
        if len(fields) == 4 and fields[1].split()[:1] and fields[1].split()[0] in FINAL:
            job, state, node, code = fields
            node = "" if node == "None assigned" else node
            views[job] = JobView(Life.ENDED, state.split()[0], node, _code(code))
    return views


def _code(text: str | None) -> int | None:
    """`3:0` is exit status 3, `0:9` is signal 9, as a shell counts it 137."""
    match = re.fullmatch(r"(\d+):(\d+)", text or "")
    if match is None:
        return None
    status, number = map(int, match.groups())
    return 128 + number if number else status


def _output(command: Sequence[str]) -> str | None:
    """What a command prints; None where it is missing, fails or hangs."""
    try:
        done = subprocess.run(list(command), check=True, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
