"""A small COCO data set with odd ids, written for a test."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 20, 30


def square(x: float, y: float, side: float) -> list[list[float]]:
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


def content() -> dict[str, Any]:
    """Sparse, unordered category ids; an image without annotations; a crowd listed first."""
    return {
        "images": [
            {"id": 70, "file_name": "a.png", "height": HEIGHT, "width": WIDTH},
            {"id": 3, "file_name": "b.png", "height": HEIGHT, "width": WIDTH},
            {"id": 12, "file_name": "empty.png", "height": HEIGHT, "width": WIDTH},
        ],
        "categories": [
            {"id": 90, "name": "cat"},
            {"id": 7, "name": "ant"},
            {"id": 0, "name": "bee"},
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": 3,
                "category_id": 7,
                "iscrowd": 1,
                "bbox": [0, 0, 30, 20],
                "area": 600,
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, 600]},
            },
            {
                "id": 2,
                "image_id": 3,
                "category_id": 90,
                "iscrowd": 0,
                "bbox": [2, 3, 10, 10],
                "area": 100,
                "segmentation": square(2, 3, 10),
            },
            {
                "id": 5,
                "image_id": 70,
                "category_id": 0,
                "iscrowd": 0,
                "bbox": [20, 5, 5, 5],
                "area": 25,
                "segmentation": square(20, 5, 5),
            },
        ],
    }


def write(root: Path, annotations: Any, name: str = "annotations.json") -> Path:
    """Write images 10, 20, 30 (grey values) and the annotation file under `root`."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    for grey, file in ((10, "a.png"), (20, "b.png"), (30, "empty.png")):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), grey, np.uint8)).save(root / "images" / file)
    (root / name).write_text(json.dumps(annotations))
    return root
