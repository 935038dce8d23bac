"""Training data: images a second and core, beside plain decoding of the same files.

    OMP_NUM_THREADS=1 python -m benchmarks.data [--root FOLDER --size 256] [--images 100]

One process, one thread. Without --root: synthetic butts at 128 px and at 512 px (trained at 550).
The stages are read from memory-warm files: `decode` the image alone, `sample` with its masks,
`transform` the augmentation alone, `batch` everything up to the collated batch of eight, and
`unrendered` what of that is left for a worker with `runtime.augment_on=device`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import torch

from yolactpp.data.augment import TrainTransform
from yolactpp.data.coco import CocoDataset
from yolactpp.data.generated import ensure_dataset
from yolactpp.data.loader import random_state, train_loader
from yolactpp.data.synthetic_butts import SyntheticButts

BATCH = 8
FULL_SIZE = {"image_size": 512, "supersample": 1, "length": (0.08, 0.4), "min_visible_px": 150}
MICROSCOPY = {
    "expand_probability": 0.0,
    "crop_min_side": 0.5,
    "flip_probability": 0.5,
    "rotate_probability": 0.5,
}


def measure(name: str, root: Path, transform: TrainTransform, images: int) -> None:
    """Print images a second of each stage, and its cost relative to plain decoding."""
    dataset = CocoDataset(root, "train/images", "train/coco_annotations.json")
    indices = [number % len(dataset) for number in range(images)]
    samples = [dataset[index] for index in indices[:64]]

    def batches(*, unrendered: bool) -> None:
        iterations = max(1, images // BATCH)
        options = {"batch_size": BATCH, "seed": 0, "start_iteration": 0, "iterations": iterations}
        for _ in train_loader(dataset, transform, **options, unrendered=unrendered):
            pass

    stages: dict[str, Callable[[], object]] = {
        "decode": lambda: [dataset.read_image(index) for index in indices],
        "sample": lambda: [dataset[index] for index in indices],
        "transform": lambda: [
            transform(samples[number % len(samples)], random_state(0, number))
            for number in range(images)
        ],
        "batch": partial(batches, unrendered=False),
        "unrendered": partial(batches, unrendered=True),
    }
    objects = sum(len(sample.labels) for sample in samples) / len(samples)
    print(f"{name}: {len(dataset)} images, {objects:.1f} objects an image in the first 64")
    decode_ms = 0.0
    for stage, work in stages.items():
        work()
        start = time.process_time()
        work()
        each_ms = (time.process_time() - start) * 1e3 / images
        decode_ms = decode_ms or each_ms
        print(
            f"  {stage:10s} {1e3 / each_ms:7.0f} images/s/core {each_ms:7.2f} ms"
            f" {each_ms / decode_ms:6.1f} x decoding"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, help="a data set in the nuclei layout")
    parser.add_argument("--size", type=int, default=256, help="training size for --root")
    parser.add_argument("--images", type=int, default=100)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    if options.root is not None:
        for name, settings in (("ssd", {}), ("microscopy", MICROSCOPY)):
            transform = TrainTransform(options.size, **settings)
            measure(
                f"{options.root.name} {options.size} px, {name}",
                options.root,
                transform,
                options.images,
            )
        return
    with tempfile.TemporaryDirectory() as folder:
        small = ensure_dataset(
            Path(folder) / "small", SyntheticButts(train_images=64, val_images=1)
        )
        measure("synthetic_butts 128 px, ssd", small, TrainTransform(128), options.images)
        generator = SyntheticButts(train_images=24, val_images=1, **FULL_SIZE)
        large = ensure_dataset(Path(folder) / "large", generator)
        measure("synthetic_butts 512 px at 550, ssd", large, TrainTransform(550), options.images)


if __name__ == "__main__":
    main()
