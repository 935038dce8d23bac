"""COCO data sets and predictions made up for tests of the evaluators."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from tests.golden import load_npz

CATEGORY_IDS = (3, 7, 12)


def rle(mask: np.ndarray) -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def ellipse(height: int, width: int, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1


def box_of(mask: np.ndarray) -> list[float]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    return [float(columns[0]), float(rows[0]), float(width), float(height)]


def made_up(
    folder: Path, images: int = 12, seed: int = 0, size: int = 120
) -> tuple[Path, list[dict], list[dict]]:
    """Ellipses of three classes and three sizes, crowds, an empty image; noisy detections."""
    random = np.random.default_rng(seed)
    annotations: list[dict] = []
    bbox_records: list[dict] = []
    segm_records: list[dict] = []
    for image in range(images):
        number = 0 if image == 1 else random.integers(1, 6)
        for index in range(number):
            shape = np.array([*random.uniform(15, size - 15, 2), *random.uniform(4, 50, 2)])
            mask = ellipse(size, size, *shape)
            category = int(random.choice(CATEGORY_IDS))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": category,
                    "segmentation": rle(mask),
                    "bbox": box_of(mask),
                    "area": float(mask.sum()),
                    "iscrowd": int(index > 2 and random.random() < 0.5),
                }
            )
            for _ in range(random.integers(0, 4)):
                moved = shape + random.normal(0, [3, 3, 2, 2])
                moved[2:] = np.maximum(moved[2:], 2)
                found = ellipse(size, size, *moved)
                if found.any():
                    label = category if random.random() < 0.8 else int(random.choice(CATEGORY_IDS))
                    _append(bbox_records, segm_records, image, label, found, random)
        for _ in range(random.integers(0, 3)):
            stray = ellipse(size, size, *random.uniform(15, size - 15, 2), 7, 9)
            label = int(random.choice(CATEGORY_IDS))
            _append(bbox_records, segm_records, image, label, stray, random)
    categories = [{"id": each, "name": f"class {each}"} for each in CATEGORY_IDS]
    return (
        write_annotations(
            folder, [(each, size, size) for each in range(images)], annotations, categories
        ),
        bbox_records,
        segm_records,
    )


def write_annotations(
    folder: Path,
    images: list[tuple[int, int, int]],
    annotations: list[dict],
    categories: list[dict],
) -> Path:
    """A COCO annotation file of (id, height, width) images."""
    content = {
        "images": [
            {"id": image, "file_name": f"{image}.png", "height": height, "width": width}
            for image, height, width in images
        ],
        "annotations": annotations,
        "categories": categories,
    }
    path = folder / "coco_annotations.json"
    path.write_text(json.dumps(content))
    return path


def golden_ap_files(folder: Path) -> tuple[Path, list[dict], list[dict]]:
    """ap_inputs.npz as an annotation file and stored predictions; class c has category c + 1."""
    arrays = load_npz("ap_inputs.npz")
    tags = sorted({key.split("__")[0] for key in arrays}, key=lambda tag: int(tag[3:]))
    images: list[tuple[int, int, int]] = []
    annotations: list[dict] = []
    bbox_records: list[dict] = []
    segm_records: list[dict] = []
    labels: set[int] = set()
    for image, tag in enumerate(tags):
        one = {
            key.split("__")[1]: value for key, value in arrays.items() if key.startswith(tag + "__")
        }
        height, width = one["hw"].tolist()
        images.append((image, height, width))
        crowd_label = int(one["crowd_class_in_coco_json"])
        rows = zip(one["gt_masks"], one["gt_boxes_rel"], one["gt_classes0"].tolist(), strict=True)
        for mask, box, label in rows:
            x1, y1, x2, y2 = box * [width, height, width, height]
            category = int(crowd_label if label < 0 else label)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": category + 1,
                    "segmentation": rle(mask),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(mask.sum()),
                    "iscrowd": int(label < 0),
                }
            )
            labels.add(category)
        found = zip(
            one["det_masks"],
            one["det_boxes"].tolist(),
            one["det_classes"].tolist(),
            one["det_box_score"].tolist(),
            one["det_mask_score"].tolist(),
            strict=True,
        )
        for mask, (x1, y1, x2, y2), label, score, mask_score in found:
            shared = {"image_id": image, "category_id": label + 1}
            bbox_records.append({**shared, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score})
            segm_records.append(
                {**shared, "segmentation": rle(mask), "score": mask_score, "box_score": score}
            )
            labels.add(label)
    categories = [{"id": label + 1, "name": str(label)} for label in sorted(labels)]
    return (
        write_annotations(folder, images, annotations, categories),
        bbox_records,
        segm_records,
    )


def _append(
    bbox_records: list[dict],
    segm_records: list[dict],
    image: int,
    label: int,
    mask: np.ndarray,
    random: np.random.Generator,
) -> None:
    score = float(random.uniform(0.02, 1))
    shared = {"image_id": image, "category_id": label}
    bbox_records.append({**shared, "bbox": box_of(mask), "score": score})
    segm_records.append(
        {
            **shared,
            "segmentation": rle(mask),
            "score": score * float(random.uniform(0.5, 1)),
            "box_score": score,
        }
    )
