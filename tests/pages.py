"""Pages that are followed word by word: their files are written and their commands run.

In such a page a fenced block is one of

    ```python title="PATH"     a file, written whole (any language but those below)
    ```diff title="PATH"       lines to add to a file, after the lines before them in the block
    ```bash                    commands, run as they stand
    ```console                 commands that are only shown; test_readme.py checks their spelling

The example project is a copy of this one whose quick schedule and synthetic data are made tiny.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "conf",
    "losses",
    "yolactpp",
    "sweeps",
    "hydra_plugins",
    "docs",
    "tests/losses",
    "tests/data/nuclei",
)
FILES = ("pyproject.toml", "tests/golden.py", "tests/pages.py")
# Keys of conf/ that are made tiny in the copy, so that a page can show real commands.
TINY = {
    "conf/schedule/quick.yaml": {
        "iterations": "4",
        "warmup_iterations": "1",
        "lr_steps": "[]",
        "checkpoint_every": "4",
        "validate_every": "4",
        "log_every": "2",
    },
    "conf/dataset/synthetic_butts.yaml": {
        "  train_images": "8",
        "  val_images": "4",
        "  image_size": "64",
    },
}
_FENCE = re.compile(
    r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^ *```$',
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Args:
        language: the word after the fence.
        title: path of the file that it shows; empty for commands.
        text: without the fence and its indentation.
    """

    language: str
    title: str
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for match in _FENCE.finditer(page.read_text(encoding="utf-8")):
        text = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        yield Block(match["language"], match["title"] or "", text)


def copy_project(folder: Path) -> None:
    """The project's sources in `folder`, quick schedule and synthetic data made tiny."""
    for name in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in FILES:
        shutil.copyfile(ROOT / name, folder / name)
    for name, values in TINY.items():
        path = folder / name
        text = path.read_text(encoding="utf-8")
        for key, value in values.items():
            text, count = re.subn(rf"^{key}: .*$", f"{key}: {value}", text, flags=re.MULTILINE)
            if count != 1:
                raise ValueError(f"{name} has {count} lines {key}: mend TINY of {__file__}")
        path.write_text(text, encoding="utf-8")


def follow(page: Path, folder: Path) -> str:
    """Do what a page says, in a copy of the project; everything its commands printed.

    Raises:
        RuntimeError: a command failed; the message holds what it printed.
        ValueError: a file does not have the lines that the page adds to.
    """
    printed = ""
    for block in blocks_of(page):
        if block.title and block.language == "diff":
            _add_lines(folder / block.title, block.text)
        elif block.title:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "bash":
            printed += _run(block.text, folder)
    return printed


def cpu_seconds() -> float:
    """Processor time of all ended children of this process."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _add_lines(path: Path, diff: str) -> None:
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines)
    text = path.read_text(encoding="utf-8")
    if text.count(before) != 1:
        raise ValueError(f"{path.name} holds these lines {text.count(before)} times:\n{before}")
    path.write_text(text.replace(before, after), encoding="utf-8")


def _run(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}:\n{script}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def _environment(folder: Path) -> dict[str, str]:
    """This Python first on the path, as in an activated environment; the copy's packages first."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "COLUMNS": "200",
    }
