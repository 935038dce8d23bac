"""A run's identity: the hash and the readable name of the settings that can change its result.

Standard library only, so that planning a sweep needs neither torch nor Hydra.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

# What cannot change a result: where files lie, how the machine is used, what is logged.
MACHINE_ONLY = frozenset(
    {"runtime", "logger", "outputs", "sweep", "evaluation", "run", "data_root", "init"}
)
# Where a data set lies, and the text that says where to get it.
DATASET_PATHS = frozenset({"root", "cache", "source"})


def run_id(config: dict[str, Any]) -> str:
    """First 8 hex digits of the SHA-256 over the resolved settings that can change the result.

    Editing a default changes the id; the order of keys or overrides does not. The data set enters
    by its fingerprint, not by its place, and so do weights to start from.
    """
    settings = {key: value for key, value in config.items() if key not in MACHINE_ONLY}
    if settings.get("init_fingerprint") is None:
        settings.pop("init_fingerprint", None)
    dataset = dict(settings.get("dataset") or {})
    for key in DATASET_PATHS:
        dataset.pop(key, None)
    dataset.setdefault("fingerprint", None)
    settings["dataset"] = dataset
    canonical = json.dumps(_whole_as_int(settings), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def run_name(config: dict[str, Any]) -> str:
    """A name that reads well: loss, hybrid weights, batch size, seed; `mse_bce-a0.5-b16-s0`.

    A weight that is scheduled or learned is no number and left to the id.
    """
    loss = config["loss"]
    parts = [str(loss["name"])]
    if "first" in loss and isinstance(loss.get("alpha"), int | float):
        parts.append(f"a{loss['alpha']:g}")
        if isinstance(loss.get("beta"), int | float) and loss["beta"] != 1:
            parts.append(f"be{loss['beta']:g}")
    parts += [f"b{config['batch_size']['total']}", f"s{config['seed']}"]
    return "-".join(parts)


def folder_name(config: dict[str, Any]) -> str:
    """NAME-RUNID, the run's folder inside its sweep's."""
    return f"{run_name(config)}-{run_id(config)}"


def dataset_fingerprint(dataset: dict[str, Any]) -> str:
    """First 16 hex digits of a SHA-256 that stands for the data set's content.

    A generated data set is its generator's settings (they decide every byte of it); any other is
    the bytes of its annotation files.

    Raises:
        FileNotFoundError: an annotation file is missing; the message names it.
    """
    digest = hashlib.sha256()
    if dataset.get("generator") is not None:
        generator = _whole_as_int(dataset["generator"])
        digest.update(json.dumps(generator, sort_keys=True).encode())
    else:
        for split in ("train", "val"):
            path = Path(dataset["root"]) / dataset[split]["annotations"]
            stat = path.stat()
            digest.update(_file_digest(path, stat.st_size, stat.st_mtime_ns))
    return digest.hexdigest()[:16]


def dataset_root(dataset: dict[str, Any]) -> str:
    """Where a data set lies: `root`, or for a generated one `root-FINGERPRINT`.

    Decided by the settings alone, so that sets of other settings never share a folder and a frozen
    config names the folder before it is made. A root that bears the fingerprint stays as it is.
    """
    root = str(dataset["root"])
    if dataset.get("generator") is None:
        return root
    ending = f"-{dataset_fingerprint(dataset)[:8]}"
    return root if root.endswith(ending) else root + ending


def checkpoint_fingerprint(path: Path) -> str:
    """First 16 hex digits of the SHA-256 over a checkpoint's bytes.

    Raises:
        FileNotFoundError: there is no such file.
    """
    stat = path.stat()
    return _file_digest(path, stat.st_size, stat.st_mtime_ns).hex()[:16]


@lru_cache(maxsize=64)
def _file_digest(path: Path, _size: int, _modified_ns: int) -> bytes:
    """Size and time of change are arguments so that the cache forgets a file that changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _whole_as_int(value: Any) -> Any:
    """`1.0` as `1`: what was typed as the one must not differ from what was typed as the other."""
    if isinstance(value, dict):
        return {key: _whole_as_int(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_as_int(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
