"""Time and size of the report of 100 runs: at most 60 s and 20 MB.

    python -m benchmarks.report [--arms 20] [--seeds 5] [--images 200] [--detections 20]

The runs are made (perturbed ground truth, 96-pixel pictures); masks, curves and pictures are real
files, and the report resamples every run's validation images 1,000 times.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from sweeps.__main__ import main as sweeps
from tests.sweeps.made_runs import make_dataset, make_run, single

BUDGET_S, BUDGET_MB = 60.0, 20.0
LOSSES = [
    "bce", "mse", "mae", "huber", "huber_d2", "huber_d3", "dice", "dice_squared", "log_cosh",
    "log_cosh_bce", "log_cosh_dice", "focal", "jaccard", "tversky", "focal_tversky", "lovasz_hinge",
    "boundary_iou", "poly1", "topk_bce", "combo",
]  # fmt: skip


def make_runs(folder: Path, arms: int, seeds: int, images: int, detections: int) -> Path:
    """A sweep of `arms` losses with `seeds` runs each; returns its folder."""
    made = make_dataset(folder / "data", images, picture_files=True)
    for number, loss in enumerate(LOSSES[:arms]):
        for seed in range(seeds):
            noise = 0.2 + 0.02 * number
            make_run(folder / "sweep", made, single(loss), seed, noise, false_alarms=detections - 2)
    return folder / "sweep"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--detections", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sweep = make_runs(Path(folder), **vars(arguments))
        start, start_cpu = time.perf_counter(), time.process_time()
        status = sweeps(["report", str(sweep), "--published"])
        seconds = time.perf_counter() - start
        cpu_s = time.process_time() - start_cpu
        size_mb = (sweep / "report.html").stat().st_size / 1e6
    print(f"report of {arguments.arms * arguments.seeds} runs, {arguments.images} images:")
    print(f"{seconds:.1f} s, {cpu_s:.1f} s of it on the processor (budget {BUDGET_S:.0f} s)")
    print(f"{size_mb:.1f} MB (budget {BUDGET_MB:.0f} MB)")
    return status or int(seconds > BUDGET_S or size_mb > BUDGET_MB)


if __name__ == "__main__":
    raise SystemExit(main())
