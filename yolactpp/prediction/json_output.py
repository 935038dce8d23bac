"""JSON files without spaces: run lengths and corners are long enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yolactpp.run_dir import write_bytes


def write_json(path: Path, content: Any) -> None:
    """JSON without spaces, in one step."""
    write_bytes(path, json.dumps(content, separators=(",", ":")).encode())
