"""Time of the bootstrap: 1,000 resamples of 200 images at 10 IoU thresholds, on one core.

    python -m benchmarks.statistics [--images 200] [--detections 100] [--replicates 1000]

`--studies N` simulates N studies for every case with a known truth instead, and prints how often
each method calls equal arms different; docs/evidence.md holds that table.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.stats import ttest_rel

from sweeps.bootstrap import average_precision, mean_ap, resample_weights
from sweeps.matches import ClassMatches, Matches
from sweeps.simulation import DetectionWorld, LinearWorld
from sweeps.statistics import (
    ALPHA,
    Arm,
    compare,
    holm,
    image_interval,
    not_below_best,
    paired_bootstrap,
)

BUDGET_S = 10.0
METHODS = ["seeds and images", "Welch over seeds", "paired t over seeds", "images alone"]
GAINS = (1.0, 2.0, 3.0, 5.0, 8.0)
WORLDS = {
    "3 seeds, seeds dominate": LinearWorld(),
    "2 seeds": LinearWorld(seeds=2),
    "5 seeds": LinearWorld(seeds=5),
    "10 seeds": LinearWorld(seeds=10),
    "images dominate": LinearWorld(seed_sd=0.3, arm_image_sd=15.0),
    "seeds and images alike": LinearWorld(seed_sd=1.0, arm_image_sd=10.0),
    "each run owes much to its images": LinearWorld(seed_sd=0.0, seed_image_sd=15.0),
    "spreads 1 : 5": LinearWorld(seed_sd=(0.5, 2.5)),
    "heavy tails": LinearWorld(noise="heavy"),
    "one run in ten collapses": LinearWorld(noise="collapse"),
}


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


def false_positive_rates(world: LinearWorld | DetectionWorld, studies: int) -> list[float]:
    """How often equal arms are called different, for each of METHODS."""
    rng = np.random.default_rng(1)
    wrong = np.zeros(len(METHODS))
    for _ in range(studies):
        arm, baseline = world.draw(rng)
        welch = compare(Arm(arm.scores_N), Arm(baseline.scores_N))
        paired = ttest_rel(arm.scores_N, baseline.scores_N)
        images = paired_bootstrap(arm, baseline)
        wrong += [
            compare(arm, baseline).p_value < ALPHA,
            welch.p_value < ALPHA,
            paired.pvalue < ALPHA,
            not images.low <= 0 <= images.high,
        ]
    return [100 * rate for rate in wrong / studies]


def powers(seeds: int, studies: int) -> list[float]:
    """How often a true gain is seen, in percent, for each of GAINS; seeds spread by 1.5 points."""
    rng = np.random.default_rng(2)
    seen = []
    for gain in GAINS:
        world = LinearWorld(gains=(gain, 0.0), seeds=seeds)
        p_values = [compare(*world.draw(rng, replicates=100)).p_value for _ in range(studies)]
        seen.append(100 * float(np.mean(np.array(p_values) < ALPHA)))
    return seen


def table_error_rate(arms: int, studies: int) -> tuple[float, float]:
    """Percent of tables of equal arms with any wrong verdict, and with the first arm not marked."""
    rng = np.random.default_rng(3)
    wrong = unmarked = 0
    for _ in range(studies):
        drawn = LinearWorld(gains=(0.0,) * arms).draw(rng, replicates=50)
        p_values = np.array([compare(arm, drawn[0]).p_value for arm in drawn[1:]])
        wrong += bool((holm(p_values) < ALPHA).any())
        unmarked += not not_below_best(drawn)[0]
    return 100 * wrong / studies, 100 * unmarked / studies


def run_coverage(images: int, studies: int) -> tuple[float, float, float]:
    """Of one run's 95 % interval over images, without a seed's effect.

    Returns:
        Percent of intervals that hold the AP expected of as many images; percent that hold the AP
        of very many images; AP points by which the first lies above the second.
    """
    rng = np.random.default_rng(4)
    world = DetectionWorld(qualities=(1.7,), seeds=1, seed_sd=0.0, images=images)
    limit = float(np.mean([world.true_ap(1.7, rng) for _ in range(6)]))
    arms = [world.draw(rng)[0] for _ in range(studies)]
    expected = float(np.mean([arm.mean for arm in arms]))
    found = [image_interval(arm.mean, arm.replicates_NR[0], images) for arm in arms]
    covered = [
        100 * float(np.mean([each.low <= truth <= each.high for each in found]))
        for truth in (expected, limit)
    ]
    return covered[0], covered[1], expected - limit


def print_studies(studies: int) -> None:
    """The tables of docs/evidence.md."""
    print("| equal arms |", " | ".join(METHODS), "|")
    for name, world in WORLDS.items():
        rates = false_positive_rates(world, studies)
        print(f"| {name} |", " | ".join(f"{rate:.1f}" for rate in rates), "|", flush=True)
    few = max(1, studies // 4)
    rates = false_positive_rates(DetectionWorld(), few)
    print(f"| exact AP ({few} studies) |", " | ".join(f"{rate:.1f}" for rate in rates), "|")
    print("gains seen, in percent:", GAINS)
    for seeds in (2, 3, 5, 10):
        print(f"| {seeds} seeds |", " | ".join(f"{p:.0f}" for p in powers(seeds, few)), "|")
    wrong, unmarked = table_error_rate(8, few)
    print(
        f"table of 8 equal arms: any wrong verdict {wrong:.1f} %, an arm unmarked {unmarked:.1f} %"
    )
    for images in (60, 200):
        expected, limit, bias = run_coverage(images, few)
        print(
            f"one run's 95 % interval, {images} images: holds the AP of as many images in "
            f"{expected:.1f} %, of very many in {limit:.1f} % (AP is {bias:.2f} points high)"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--studies", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.studies:
        print_studies(arguments.studies)
        return 0
    seconds = time_bootstrap(arguments.images, arguments.detections, arguments.replicates)
    print(
        f"{arguments.replicates} resamples of {arguments.images} images with "
        f"{arguments.detections} detections each, 10 thresholds: {seconds:.2f} s "
        f"(budget {BUDGET_S:.0f} s)"
    )
    return 0 if seconds <= BUDGET_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
