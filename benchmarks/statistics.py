"""Time of the bootstrap: 1,000 resamples of 200 images at 10 IoU thresholds, on one core.

    python benchmarks/statistics.py [--images 200] [--detections 100] [--replicates 1000]

`--studies N` simulates N studies for every case with a known truth instead, and prints how often
each method calls equal arms different; docs/evidence.md holds that table.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from sweeps.bootstrap import average_precision, mean_ap, resample_weights
from sweeps.matches import ClassMatches, Matches

BUDGET_S = 10.0


def made_matches(images: int, detections: int, rng: np.random.Generator) -> Matches:
    """One class, four objects an image, as many detections as the evaluation keeps."""
    objects = 4
    scores_D = rng.random(images * detections)
    image_D = np.repeat(np.arange(images), detections)
    # The first detections of an image are its objects; they reach falling IoU thresholds.
    is_object_D = np.tile(np.arange(detections) < objects, images)
    quality_D = np.where(is_object_D, rng.uniform(0.4, 1.0, len(image_D)), 0.0)
    scores_D = np.where(is_object_D, 0.5 + scores_D / 2, scores_D / 2)
    matched_TD = quality_D >= np.linspace(0.5, 0.95, 10)[:, None]
    order = np.argsort(-scores_D, kind="stable")
    found = ClassMatches(
        "object",
        scores_D[order],
        image_D[order],
        matched_TD[:, order],
        np.zeros_like(matched_TD),
        np.full(images, objects),
    )
    return Matches(tuple(range(images)), (found,))


def time_bootstrap(images: int, detections: int, replicates: int) -> float:
    """Seconds for all replicates of one run and task."""
    rng = np.random.default_rng(0)
    matches = made_matches(images, detections, rng)
    start = time.perf_counter()
    weights_RI = resample_weights(images, replicates, rng)
    mean_ap(average_precision(matches, weights_RI))
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--replicates", type=int, default=1000)
    arguments = parser.parse_args()
    seconds = time_bootstrap(arguments.images, arguments.detections, arguments.replicates)
    print(
        f"{arguments.replicates} resamples of {arguments.images} images with "
        f"{arguments.detections} detections each, 10 thresholds: {seconds:.2f} s "
        f"(budget {BUDGET_S:.0f} s)"
    )
    return 0 if seconds <= BUDGET_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
