"""COCO's evaluation by both backends on a made-up validation set, in turns.

    python -m benchmarks.coco_evaluation [--images 5000] [--detections 100] [--repeats 1]

Every image has seven objects of 80 classes; a detection lies near one of them or anywhere.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from yolactpp.evaluation.coco import coco_metrics
from yolactpp.evaluation.inhouse import inhouse_metrics
from yolactpp.ops.rle import encode_window

HEIGHT, WIDTH = 480, 640
CLASSES = 80
OBJECTS = 7


def ellipse_in(box: np.ndarray) -> tuple[dict[str, Any], list[float], int]:
    """An ellipse in a box (x, y, width, height): RLE, box in the image, pixels."""
    x1, y1 = np.maximum(box[:2], 0).astype(int)
    x2, y2 = np.minimum(box[:2] + box[2:], (WIDTH, HEIGHT)).astype(int)
    x2, y2 = max(x2, x1 + 1), max(y2, y1 + 1)
    row, column = np.ogrid[: y2 - y1, : x2 - x1]
    inside = ((row + 0.5) / (y2 - y1) * 2 - 1) ** 2 + ((column + 0.5) / (x2 - x1) * 2 - 1) ** 2 <= 1
    rle = encode_window(inside, int(y1), int(x1), (HEIGHT, WIDTH))
    return rle, [float(value) for value in (x1, y1, x2 - x1, y2 - y1)], int(inside.sum())


def made_up_set(images: int, detections: int, folder: Path) -> tuple[Path, list[dict], list[dict]]:
    random = np.random.default_rng(0)
    annotations: list[dict] = []
    bbox: list[dict] = []
    segm: list[dict] = []
    for image in range(images):
        corners = random.uniform(0, [WIDTH - 60, HEIGHT - 60], (OBJECTS, 2))
        boxes = np.concatenate([corners, random.uniform(10, 200, (OBJECTS, 2))], axis=1)
        labels = random.integers(1, CLASSES + 1, OBJECTS)
        for box, label in zip(boxes, labels.tolist(), strict=True):
            rle, inside, area = ellipse_in(box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": label,
                    "segmentation": rle,
                    "bbox": inside,
                    "area": area,
                    "iscrowd": 0,
                }
            )
        for _ in range(detections):
            target = random.integers(OBJECTS)
            box = boxes[target] + random.normal(0, 10, 4)
            box[2:] = np.maximum(box[2:], 4)
            box[:2] = np.clip(box[:2], 0, [WIDTH - 4, HEIGHT - 4])
            label = int(labels[target]) if random.random() < 0.5 else int(random.integers(1, 81))
            score = float(random.random())
            rle, inside, _ = ellipse_in(box)
            shared = {"image_id": image, "category_id": label}
            bbox.append({**shared, "bbox": inside, "score": score})
            segm.append({**shared, "segmentation": rle, "score": score, "box_score": score})
    content = {
        "images": [{"id": image, "height": HEIGHT, "width": WIDTH} for image in range(images)],
        "annotations": annotations,
        "categories": [{"id": label, "name": str(label)} for label in range(1, CLASSES + 1)],
    }
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    return path, bbox, segm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = made_up_set(args.images, args.detections, Path(folder))
        seconds: dict[str, list[float]] = {"pycocotools": [], "faster_coco_eval": [], "inhouse": []}
        results: dict[str, dict[str, Any]] = {}
        for _ in range(args.repeats):
            for name, times in seconds.items():
                started = time.perf_counter()
                if name == "inhouse":
                    results[name] = inhouse_metrics(*files)
                else:
                    results[name] = coco_metrics(*files, backend=name)  # type: ignore[arg-type]
                times.append(time.perf_counter() - started)
    reference = statistics.median(seconds["pycocotools"])
    print(f"{args.images} images x {args.detections} detections, boxes and masks")
    for name, times in seconds.items():
        median = statistics.median(times)
        difference = abs(results[name]["segm"]["AP"] - results["pycocotools"]["segm"]["AP"])
        print(
            f"{name:<18}{median:>8.1f} s{reference / median:>7.1f} x  "
            f"mask AP {results[name]['segm']['AP']:.6f}, {difference:.1e} from pycocotools"
        )


if __name__ == "__main__":
    main()
