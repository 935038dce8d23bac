"""Run folders as the trainer leaves them, made in a second: perturbed ground truth as predictions.

`make_dataset` draws ellipses; `make_run` moves them by a noise that stands for the loss's quality
and writes every file of a finished run, with pycocotools' own numbers in eval.json.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yolactpp.evaluation.calibration import calibration
from yolactpp.evaluation.coco import load_annotations
from yolactpp.evaluation.tide import tide_errors
from yolactpp.identity import folder_name, run_id
from yolactpp.run_dir import RunDir, append_jsonl, write_json

SIDE = 96


@dataclass(frozen=True)
class Ellipse:
    centre: tuple[float, float]
    axes: tuple[float, float]
    angle: float

    def mask(self, height: int = SIDE, width: int = SIDE) -> np.ndarray:
        canvas = np.zeros((height, width), dtype=np.uint8)
        cv2.ellipse(
            canvas,
            tuple(round(c) for c in self.centre),
            tuple(max(1, round(a)) for a in self.axes),
            self.angle,
            0,
            360,
            1,
            -1,
        )
        return canvas

    def moved(self, noise: float, rng: np.random.Generator) -> Ellipse:
        shift = rng.normal(0, noise * 3, 2)
        scale = np.exp(rng.normal(0, noise * 0.3, 2))
        return Ellipse(
            (self.centre[0] + shift[0], self.centre[1] + shift[1]),
            (self.axes[0] * scale[0], self.axes[1] * scale[1]),
            self.angle + rng.normal(0, noise * 20),
        )


@dataclass
class MadeDataset:
    root: Path
    annotations: Path
    classes: list[str]
    image_ids: list[int]
    objects: dict[int, list[tuple[int, Ellipse]]] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        split = {"images": "val/images", "annotations": "val/coco_annotations.json"}
        return {
            "name": "made",
            "root": str(self.root),
            "image_size": SIDE,
            "classes": None,
            "train": split,
            "val": split,
            "fingerprint": "0123456789abcdef",
        }


def make_dataset(
    root: Path,
    images: int = 24,
    classes: tuple[str, ...] = ("butt",),
    seed: int = 0,
    crowds: bool = False,
    picture_files: bool = False,
) -> MadeDataset:
    """A validation set; the third image is empty, the first ids are not in rising order."""
    rng = np.random.default_rng(seed)
    image_ids = [7, 3, *range(10, 8 + images)]
    made = MadeDataset(root, root / "val/coco_annotations.json", list(classes), image_ids)
    annotations: list[dict[str, Any]] = []
    for index, image_id in enumerate(image_ids):
        picture = rng.integers(60, 120, (SIDE, SIDE, 3), dtype=np.uint8)
        count = 0 if index == 2 else int(rng.integers(1, 4))
        made.objects[image_id] = []
        for number in range(count):
            label = int(rng.integers(len(classes)))
            ellipse = Ellipse(
                tuple(rng.uniform(20, SIDE - 20, 2)),
                tuple(rng.uniform(6, 18, 2)),
                rng.uniform(0, 180),
            )
            crowd = crowds and number == 2
            made.objects[image_id].append((label, ellipse))
            mask = ellipse.mask()
            picture[mask > 0] = (40, 160, 220)
            annotations.append(annotation(len(annotations) + 1, image_id, label, mask, crowd))
        if picture_files:
            path = root / "val/images" / f"{image_id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)
    content = {
        "images": [
            {"id": image_id, "file_name": f"{image_id}.png", "height": SIDE, "width": SIDE}
            for image_id in image_ids
        ],
        "categories": [{"id": 5 * (k + 1), "name": name} for k, name in enumerate(classes)],
        "annotations": annotations,
    }
    made.annotations.parent.mkdir(parents=True, exist_ok=True)
    made.annotations.write_text(json.dumps(content))
    return made


def predictions(
    made: MadeDataset, noise: float, seed: int, false_alarms: float = 1.0, ties: bool = False
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """bbox and segm records: every object moved, some missed or mislabelled, some invented.

    With `ties` the scores are rounded to one decimal, so that many are equal.
    """
    rng = np.random.default_rng([seed, 77])
    boxes, masks = [], []
    for image_id in made.image_ids:
        found = []
        for label, ellipse in made.objects[image_id]:
            if rng.random() < 0.05 + 0.1 * noise:
                continue
            if len(made.classes) > 1 and rng.random() < 0.1:
                label = (label + 1) % len(made.classes)
            found.append((label, ellipse.moved(noise, rng), rng.beta(6, 2)))
        for _ in range(rng.poisson(false_alarms)):
            invented = Ellipse(tuple(rng.uniform(0, SIDE, 2)), tuple(rng.uniform(4, 14, 2)), 0.0)
            found.append((int(rng.integers(len(made.classes))), invented, rng.beta(2, 4)))
        for label, ellipse, score in found:
            mask = ellipse.mask()
            if not mask.any():
                continue
            shared = {
                "image_id": image_id,
                "category_id": 5 * (label + 1),
                "score": round(float(score), 1 if ties else 6),
            }
            code = encode(mask)
            boxes.append(shared | {"bbox": rle_codec.toBbox(code).tolist()})
            masks.append(shared | {"segmentation": as_json(code), "box_score": shared["score"]})
    return boxes, masks


def coco_stats(annotations: Path, records: list[dict[str, Any]], task: str) -> COCOeval:
    """pycocotools' evaluation, accumulated and summarised."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes([dict(record) for record in records]), task)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def metrics(evaluation: COCOeval, classes: list[str]) -> dict[str, Any]:
    """The numbers of one task as eval.json holds them."""

    def mean(values: np.ndarray) -> float | None:
        present = values[values > -1]
        return float(present.mean()) if present.size else None

    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    names = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR1", "AR10", "AR100"]
    stats = [None if value < 0 else float(value) for value in evaluation.stats[:9]]
    found: dict[str, Any] = dict(zip(names, stats, strict=True))
    found |= {f"AP{50 + 5 * t}": mean(precision[t]) for t in range(10)}
    found["per_class"] = {
        name: {
            "AP": mean(precision[:, :, k]),
            "AP50": mean(precision[0, :, k]),
            "AP75": mean(precision[5, :, k]),
        }
        for k, name in enumerate(classes)
    }
    return found


def run_config(
    made: MadeDataset, loss: dict[str, Any], seed: int, batch: int = 8
) -> dict[str, Any]:
    return {
        "seed": seed,
        "precision": "fp32",
        "image_size": SIDE,
        "outputs": "outputs",
        "data_root": "data",
        "run": None,
        "sweep": {"name": "made"},
        "dataset": made.settings,
        "batch_size": {"total": batch, "accumulate": 1},
        "model": {"name": "yolactpp_tiny", "backbone": {"weights": None}},
        "loss": loss,
        "schedule": {"iterations": 400, "base_batch": 8, "lr": 0.001},
        "protocol": {"name": "sound", "score_threshold": 0.0, "table_evaluator": "coco"},
    }


def single(name: str) -> dict[str, Any]:
    return {"name": name, "_target_": f"losses.{name}"}


def hybrid(first: str, second: str, alpha: float, beta: float = 1.0) -> dict[str, Any]:
    return {
        "name": f"{first}_{second}",
        "alpha": alpha,
        "beta": beta,
        "first": single(first),
        "second": single(second),
    }


def make_run(
    sweep: Path,
    made: MadeDataset,
    loss: dict[str, Any],
    seed: int,
    noise: float,
    batch: int = 8,
    false_alarms: float = 1.0,
) -> RunDir:
    """A finished run whose masks are off by `noise`, itself a little different for each seed."""
    rng = np.random.default_rng([seed, sum(map(ord, loss["name"])), batch])
    config = run_config(made, loss, seed, batch)
    run = RunDir(sweep / folder_name(config))
    run.path.mkdir(parents=True)
    run.config.write_text(yaml.safe_dump(config))
    write_json(run.run, provenance(config))
    boxes, masks = predictions(
        made, noise * math.exp(rng.normal(0, 0.06)), int(rng.integers(2**31)), false_alarms
    )
    run.bbox_predictions.parent.mkdir()
    run.bbox_predictions.write_text(json.dumps(boxes))
    run.segm_predictions.write_text(json.dumps(masks))
    _write_evaluation(run, config, made, boxes, masks, rng)
    _write_curve(run, noise, rng)
    status = {"state": "finished", "iteration": 400, "total": 400, "attempt": 1, "host": "made"}
    write_json(run.status, status)
    return run


def make_failed_run(sweep: Path, made: MadeDataset, loss: dict[str, Any], seed: int) -> RunDir:
    """A run that stopped at a NaN, without eval.json."""
    config = run_config(made, loss, seed)
    run = RunDir(sweep / folder_name(config))
    run.path.mkdir(parents=True)
    run.config.write_text(yaml.safe_dump(config))
    write_json(run.run, provenance(config))
    status = {
        "state": "failed",
        "iteration": 31,
        "total": 400,
        "attempt": 2,
        "reason": "nan",
        "message": "mask/<b>bce</b> is nan at iteration 31",
    }
    write_json(run.status, status)
    return run


def make_study(
    folder: Path,
    losses: dict[str, float],
    seeds: int = 3,
    images: int = 24,
    classes: tuple[str, ...] = ("butt",),
    false_alarms: float = 1.0,
) -> tuple[MadeDataset, list[RunDir]]:
    """Single losses (`mse`) and hybrids (`mse_bce@0.5`) with their noise, some seeds of each."""
    made = make_dataset(folder / "data", images, classes, picture_files=True)
    runs = []
    for name, noise in losses.items():
        pair, _, alpha = name.partition("@")
        first, _, second = pair.partition("_")
        loss = hybrid(first, second, float(alpha)) if alpha else single(pair)
        runs += [
            make_run(folder / "sweep", made, loss, seed, noise, false_alarms=false_alarms)
            for seed in range(seeds)
        ]
    return made, runs


def provenance(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "run_id": run_id(config),
        "overrides": [f"loss={config['loss']['name']}", f"seed={config['seed']}"],
        "commit": "c0ffee" * 6 + "c0ff",
        "dirty": False,
        "seed": config["seed"],
        "host": "made",
        "device": "cpu",
        "versions": {"torch": "2.15.0"},
        "attempts": 1,
    }


def _write_evaluation(
    run: RunDir,
    config: dict[str, Any],
    made: MadeDataset,
    boxes: list[dict[str, Any]],
    masks: list[dict[str, Any]],
    rng: np.random.Generator,
) -> None:
    found = {
        "bbox": metrics(coco_stats(made.annotations, boxes, "bbox"), made.classes),
        "segm": metrics(coco_stats(made.annotations, masks, "segm"), made.classes),
    }
    evaluation = {
        "schema_version": 1,
        "run_id": run_id(config),
        "iteration": 400,
        "dataset": {
            "name": "made",
            "split": "val",
            "images": len(made.image_ids),
            "annotations": len(json.loads(made.annotations.read_text())["annotations"]),
            "fingerprint": config["dataset"]["fingerprint"],
        },
        "protocol": {"score_threshold": 0.0, "max_detections": 100},
        "metrics": found,
        "speed": {
            "fps": float(rng.normal(33, 1)),
            "batch_size": 1,
            "device": "cpu",
            "dtype": "float32",
            "stages_ms": {"network": 20.0, "postprocess": 10.0},
        },
    }
    truth = load_annotations(made.annotations)
    evaluation |= {
        "tide": tide_errors(truth, boxes, masks),
        "calibration": calibration(truth, boxes, masks),
    }
    write_json(run.evaluation, evaluation)


def _write_curve(run: RunDir, noise: float, rng: np.random.Generator) -> None:
    for iteration in range(0, 400, 10):
        mask = 2 * noise + 3 * math.exp(-iteration / 60) + float(rng.normal(0, 0.15))
        losses = {"box": 2 * math.exp(-iteration / 80) + 0.3, "class": 1.0, "mask": mask}
        record: dict[str, Any] = {"iteration": iteration, "lr": 1e-3, "grad_norm": 2.0}
        record |= losses | {"total": sum(losses.values())}
        append_jsonl(run.metrics, record)


def annotation(
    number: int, image_id: int, label: int, mask: np.ndarray, crowd: bool
) -> dict[str, Any]:
    code = encode(mask)
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 5 * (label + 1),
        "segmentation": as_json(code),
        "bbox": rle_codec.toBbox(code).tolist(),
        "area": float(rle_codec.area(code)),
        "iscrowd": int(crowd),
    }


def encode(mask: np.ndarray) -> dict[str, Any]:
    return rle_codec.encode(np.asfortranarray(mask))


def as_json(code: dict[str, Any]) -> dict[str, Any]:
    return {"size": code["size"], "counts": code["counts"].decode()}
