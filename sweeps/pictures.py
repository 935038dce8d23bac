"""Validation images with what a run saw in them: outlines, boxes, classes and scores.

Drawn by the figures (as pixels) and by the report (as shapes over one image, so that a toggle
between many runs costs kilobytes).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle_codec

from sweeps.bootstrap import average_precision, mean_ap
from sweeps.evidence import image_folder, read_predictions, run_matches
from sweeps.matches import GroundTruth, as_rle
from yolactpp.run_dir import RunDir

SHOWN_SCORE = 0.3
SHOWN_DETECTIONS = 15


@dataclass(frozen=True)
class Instance:
    """One object or detection in an image.

    Args:
        name: its class.
        score: in [0, 1]; None for the ground truth.
        box_xywh: pixels.
        mask_HW: bool.
        crowd: a crowd region of the ground truth.
    """

    name: str
    score: float | None
    box_xywh: tuple[float, float, float, float]
    mask_HW: np.ndarray
    crowd: bool = False

    @property
    def polygons(self) -> list[np.ndarray]:
        """Outlines as [points, 2] arrays of x, y in pixels."""
        padded = np.pad(self.mask_HW.astype(np.uint8), 1)
        found, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
        return [outline[:, 0, :] - 0.5 for outline in found if len(outline) >= 3]


def load_picture(row: Mapping[str, Any], truth: GroundTruth, image_id: int) -> np.ndarray:
    """A validation image as uint8 RGB [H, W, 3].

    Raises:
        FileNotFoundError: the data set's images are not where the run's config says.
    """
    path = image_folder(row) / truth.coco.imgs[image_id]["file_name"]
    if not path.is_file():
        raise FileNotFoundError(f"{path}: a validation image is missing")
    picture = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(f"{path}: no image that can be read")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def true_instances(truth: GroundTruth, image_id: int) -> list[Instance]:
    """The objects and crowd regions of an image."""
    found = []
    for category_id, name in truth.categories.items():
        annotations = truth.annotations(image_id, category_id)
        codes = truth.regions("segm", image_id, category_id)
        for annotation, code in zip(annotations, codes, strict=True):
            crowd = bool(annotation.get("iscrowd", 0))
            mask_HW = rle_codec.decode(code).astype(bool)
            found.append(Instance(name, None, tuple(annotation["bbox"]), mask_HW, crowd))
    return found


def detected_instances(
    row: Mapping[str, Any],
    truth: GroundTruth,
    image_id: int,
    least_score: float = SHOWN_SCORE,
) -> list[Instance]:
    """What a run found in an image, at most 15 by falling score; boxes are those of the masks."""
    run = RunDir(Path(row["folder"]))
    records = _records_by_image(run, run.segm_predictions.stat().st_mtime_ns)[image_id]
    kept = sorted(
        (r for r in records if r["score"] >= least_score and r["category_id"] in truth.categories),
        key=lambda record: -record["score"],
    )
    found = []
    for record in kept[:SHOWN_DETECTIONS]:
        code = as_rle(record["segmentation"])
        found.append(
            Instance(
                truth.categories[record["category_id"]],
                float(record["score"]),
                tuple(rle_codec.toBbox(code).tolist()),
                rle_codec.decode(code).astype(bool),
            )
        )
    return found


def image_scores(row: Mapping[str, Any]) -> dict[int, float]:
    """AP of each validation image on its own, NaN where it holds no object."""
    matches = run_matches(row, "segm")
    alone_II = np.eye(len(matches.image_ids), dtype=np.int64)
    return dict(zip(matches.image_ids, mean_ap(average_precision(matches, alone_II)), strict=True))


def typical_images(truth: GroundTruth, count: int) -> list[int]:
    """Images with objects, spread evenly over the sorted ids: chosen before any result is known."""
    holding = [
        image_id
        for image_id in truth.image_ids
        if any(truth.annotations(image_id, category) for category in truth.categories)
    ]
    places = np.linspace(0, len(holding) - 1, min(count, len(holding))).round().astype(int)
    return [holding[place] for place in places]


def disputed_images(
    first: Mapping[str, Any], second: Mapping[str, Any], count: int
) -> list[tuple[int, float, float]]:
    """The images where two runs differ most: `(image id, first's AP, second's AP)`."""
    one, other = image_scores(first), image_scores(second)
    both = [i for i in one if i in other and one[i] == one[i] and other[i] == other[i]]
    ranked = sorted(both, key=lambda i: (-abs(one[i] - other[i]), i))
    return [(i, one[i], other[i]) for i in ranked[:count] if one[i] != other[i]]


@lru_cache(maxsize=4)
def _records_by_image(run: RunDir, modified_ns: int) -> dict[int, list[dict[str, Any]]]:
    """The second argument makes the cache forget a file that changed."""
    del modified_ns
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    protocol = (run.read_evaluation() or {}).get("protocol") or {}
    for record in read_predictions(run, protocol)[1]:
        found[record["image_id"]].append(record)
    return found
