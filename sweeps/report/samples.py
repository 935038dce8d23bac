"""Sample images with every shown run's masks as shapes, for the page's slider."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from sweeps.evidence import NotCoco, validation_set
from sweeps.evidence import rows as as_rows
from sweeps.figures.gallery import chosen_labels, rivals
from sweeps.figures.samples import instance_colour
from sweeps.matches import GroundTruth
from sweeps.pictures import (
    SHOWN_SCORE,
    Instance,
    detected_instances,
    disputed_images,
    load_picture,
    true_instances,
    typical_images,
)
from sweeps.study import Study, median_run

ARMS = 10
TYPICAL, DISPUTED = 5, 3
LONGEST_SIDE = 640
JPEG_QUALITY = 82


@dataclass(frozen=True)
class Shape:
    """One instance, in the image's own pixels."""

    path: str
    box: tuple[float, float, float, float]
    colour: str
    text: str


@dataclass(frozen=True)
class Layer:
    """What one run, or the ground truth, sees in one image."""

    shapes: list[Shape]


@dataclass(frozen=True)
class SampleImage:
    """One picture; `layers` are in the order of the panel's sources."""

    image_id: int
    note: str
    uri: str
    width: int
    height: int
    layers: list[Layer]


@dataclass(frozen=True)
class SamplePanel:
    """Pictures and the names of what can be laid over them, ground truth first."""

    sources: list[str]
    images: list[SampleImage]
    least_score: float


def sample_panel(study: Study) -> tuple[SamplePanel | None, str]:
    """The panel, or None and why there is none."""
    if study.runs.empty:
        return None, "there is no finished run"
    runs = pd.DataFrame([median_run(study.runs, each) for each in chosen_labels(study, ARMS)])
    listed = as_rows(runs)
    try:
        truth = validation_set(listed[0])
        images = [
            _image(listed, truth, image_id, note)
            for image_id, note in _chosen_images(study, truth).items()
        ]
    except (FileNotFoundError, ValueError, NotCoco) as error:
        return None, str(error)
    names = [f"{row['label']}, seed {row['seed']:g}, AP {100 * row['segm.AP']:.1f}"
             for row in listed]  # fmt: skip
    return SamplePanel(["ground truth", *names], images, SHOWN_SCORE), ""


def _chosen_images(study: Study, truth: GroundTruth) -> dict[int, str]:
    """Image ids with what is said of each: some typical ones, then those of most dispute."""
    chosen = dict.fromkeys(typical_images(truth, TYPICAL), "")
    if len(study.labels) > 1:
        labels = rivals(study)
        first, second = as_rows(pd.DataFrame([median_run(study.runs, label) for label in labels]))
        for image_id, one, other in disputed_images(first, second, DISPUTED):
            chosen[image_id] = (
                f"AP of this image: {labels[0]} {100 * one:.0f}, {labels[1]} {100 * other:.0f}"
            )
    return chosen


def _image(
    listed: Sequence[dict[str, object]], truth: GroundTruth, image_id: int, note: str
) -> SampleImage:
    picture = load_picture(listed[0], truth, image_id)
    height, width = picture.shape[:2]
    layers = [_layer(true_instances(truth, image_id))]
    layers += [_layer(detected_instances(row, truth, image_id)) for row in listed]
    return SampleImage(image_id, note, _data_uri(picture), width, height, layers)


def _layer(instances: Sequence[Instance]) -> Layer:
    shapes = []
    for number, instance in enumerate(instances):
        red, green, blue = instance_colour(number, instance)
        path = " ".join(
            "M" + "L".join(f"{x:g} {y:g}" for x, y in polygon + 0.5) + "Z"
            for polygon in instance.polygons
        )
        score = "" if instance.score is None else f" {instance.score:.2f}"
        x, y, width, height = (round(float(side), 1) for side in instance.box_xywh)
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        shapes.append(Shape(path, (x, y, width, height), colour, instance.name + score))
    return Layer(shapes)


def _data_uri(picture: np.ndarray) -> str:
    scale = min(1.0, LONGEST_SIDE / max(picture.shape[:2]))
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    kind, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    done, data = cv2.imencode(kind, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"a sample image of shape {picture.shape} could not be encoded")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
