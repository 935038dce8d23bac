"""Where the reference implementation's numbers lie; YOLACTPP_GOLDEN names another set."""

import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(os.environ.get("YOLACTPP_GOLDEN") or Path(__file__).parent / "data" / "golden")


def load_npz(name: str) -> dict[str, np.ndarray]:
    """All arrays of a golden .npz file."""
    with np.load(GOLDEN / name) as archive:
        return {key: archive[key] for key in archive.files}


def load_json(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


def rule_p(key: str, shape: tuple[int, ...]) -> Tensor:
    """Rule P: the deterministic parameter of an original state_dict entry."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    z = np.random.RandomState(zlib.crc32(key.encode("ascii"))).standard_normal(shape)
    if len(shape) == 4:
        z = z * np.sqrt(2 / (shape[1] * shape[2] * shape[3]))
        if "_layer." in key:
            z = z * 0.1
    elif key.endswith("running_var"):
        z = 1 + 0.1 * np.abs(z)
    elif key.endswith(("running_mean", "bias")):
        z = 0.1 * z
    else:
        z = (1 + 0.1 * z) * (0.25 if ".bn3." in key else 1)
    return torch.from_numpy(np.asarray(z, dtype=np.float32))


def rule_x(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Rule X: deterministic images, used as network input as they stand."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))
