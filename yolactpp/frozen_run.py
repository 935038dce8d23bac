"""Freezing a run: its folder, config.yaml and run.json, made once however many ask for it.

No torch and no Hydra here: a sweep freezes its runs with this before anything is queued.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from yolactpp.engine.failures import BadInputError
from yolactpp.identity import (
    checkpoint_fingerprint,
    dataset_fingerprint,
    dataset_root,
    folder_name,
    run_id,
)
from yolactpp.run_dir import CorruptFileError, RunDir, read_json, write_bytes, write_json

# The C one, where PyYAML was built with it, writes the same text several times faster.
DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
PACKAGES = ("torch", "torchvision", "numpy", "hydra-core", "pycocotools", "opencv-python-headless")


def freeze_run(config: dict[str, Any], overrides: list[str] | None = None) -> RunDir:
    """The folder of the run that a resolved config describes, made if it is not there yet.

    Places in the config become absolute, so that the run can be gone on with from anywhere; they
    are no part of its identity. The folder appears whole, by a rename: of several processes that
    freeze the same run one makes it and the others find it.

    Args:
        config: plain resolved settings, as `OmegaConf.to_container(cfg, resolve=True)` gives.
        overrides: what was typed, for run.json.

    Raises:
        FileNotFoundError: an annotation file, which the identity needs, is missing.
        BadInputError: there are no weights at `init`.
    """
    config = with_fingerprints(_with_absolute_places(config))
    sweep = Path(config["outputs"]) / config["sweep"]["name"]
    run = RunDir(sweep / folder_name(config))
    if run.config.exists():
        return run
    sweep.mkdir(parents=True, exist_ok=True)
    prepared = RunDir(Path(tempfile.mkdtemp(dir=sweep, prefix=f".{run.path.name}.")))
    prepared.path.chmod(0o755)
    try:
        text = yaml.dump(config, Dumper=DUMPER, sort_keys=False, allow_unicode=True)
        write_bytes(prepared.config, text.encode())
        write_json(prepared.run, _provenance(config, overrides or []))
        prepared.path.rename(run.path)
    except OSError:
        if not run.config.exists():
            raise
    finally:
        shutil.rmtree(prepared.path, ignore_errors=True)
    return run


def with_fingerprints(config: dict[str, Any]) -> dict[str, Any]:
    """The settings with what stands for the content of the files that they name.

    Raises:
        FileNotFoundError: an annotation file is missing.
        BadInputError: there are no weights at `init`.
    """
    dataset = {**config["dataset"], "fingerprint": dataset_fingerprint(config["dataset"])}
    config = {**config, "dataset": dataset}
    if config.get("init") is None:
        return config
    path = _starting_checkpoint(Path(config["init"]).expanduser().absolute())
    return {**config, "init": str(path), "init_fingerprint": checkpoint_fingerprint(path)}


def read_config(run: RunDir) -> dict[str, Any]:
    """A run's frozen settings.

    Raises:
        FileNotFoundError: no run is in that folder.
        CorruptFileError: its config.yaml is not a mapping.
    """
    if not run.config.exists():
        raise FileNotFoundError(f"{run.path} is no run: it holds no config.yaml")
    try:
        config = yaml.safe_load(run.config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"{run.config}: {error}") from error
    if not isinstance(config, dict):
        raise CorruptFileError(f"{run.config}: a mapping was expected")
    return config


def begin_attempt(run: RunDir, device: str) -> int:
    """Note in run.json that the run is started once more; the attempt's number, from 1 on."""
    with (run.path / ".run.json.lock").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        provenance = read_json(run.run) if run.run.exists() else {}
        attempts = provenance.setdefault("attempts", [])
        attempts.append(
            {
                "number": len(attempts) + 1,
                "started": time.time(),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "device": device,
                "job": os.environ.get("SLURM_JOB_ID"),
                "versions": _versions(),
            }
        )
        write_json(run.run, provenance)
    return len(attempts)


def _starting_checkpoint(place: Path) -> Path:
    """The file of `init`: itself, or the last checkpoint of a finished run's folder."""
    if place.is_file():
        return place
    run = RunDir(place)
    if not run.config.exists():
        raise BadInputError(f"init={place}: give a checkpoint's file or a finished run's folder")
    if not run.is_finished():
        raise BadInputError(
            f"init={place}: this run is not finished, so its weights may still change; finish it, "
            f"or name a file in {run.checkpoints}"
        )
    if not run.last_checkpoint.exists():
        raise BadInputError(f"init={place}: {run.last_checkpoint} is missing")
    return run.last_checkpoint


def _with_absolute_places(config: dict[str, Any]) -> dict[str, Any]:
    dataset = dict(config["dataset"])
    dataset["root"] = str(Path(dataset_root(dataset)).expanduser().absolute())
    places = {
        key: str(Path(config[key]).expanduser().absolute()) for key in ("outputs", "data_root")
    }
    return {**config, **places, "dataset": dataset}


def _provenance(config: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    commit, dirty = _git_state()
    return {
        "run_id": run_id(config),
        "overrides": overrides,
        "commit": commit,
        "dirty": dirty,
        "seed": config["seed"],
        "created": time.time(),
        "host": socket.gethostname(),
        "versions": _versions(),
        "attempts": [],
    }


@lru_cache(maxsize=1)
def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


@lru_cache(maxsize=1)
def _git_state() -> tuple[str | None, bool | None]:
    """Commit of the source tree and whether it has changes; None for an installed package."""
    tree = Path(__file__).resolve().parent.parent
    if not (tree / ".git").exists():
        return None, None
    try:
        commit = _git(tree, "rev-parse", "HEAD")
        return commit, bool(_git(tree, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(tree: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(tree), *arguments], check=True, capture_output=True, text=True, timeout=20
    ).stdout.strip()
