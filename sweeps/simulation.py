"""Studies with a known truth, to ask how often a verdict is wrong and how often it sees a gain.

Two worlds. In the linear one a run's score is a mean over images of arm, seed, image, arm on this
image and seed on this image, so thousands of studies take seconds. In the detection one, runs find
objects of varying difficulty and the score is exact COCO average precision.

Shape letters: A arms, N seeds, I images, R replicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sweeps.bootstrap import average_precision, mean_ap, resample_weights
from sweeps.matches import IOU_THRESHOLDS, ClassMatches, Matches
from sweeps.statistics import Arm

SeedNoise = Literal["normal", "heavy", "collapse"]


@dataclass(frozen=True)
class LinearWorld:
    """Standard deviations, in AP points; an image's effects are those of one image, not of a mean.

    Args:
        gains: true mean of each arm above the first.
        seeds: runs of an arm.
        seed_sd: between the seeds of an arm; one number, or one for each arm.
        arm_image_sd: how differently an arm takes an image than others do, the same for all seeds.
        seed_image_sd: how differently a single run takes an image.
        image_sd: how hard an image is, the same for everyone.
        noise: distribution of the seeds' effect: normal, Student's t with 3 degrees of freedom, or
            one run in ten losing five standard deviations.
    """

    gains: tuple[float, ...] = (0.0, 0.0)
    seeds: int = 3
    images: int = 100
    seed_sd: float | tuple[float, ...] = 1.5
    arm_image_sd: float = 0.0
    seed_image_sd: float = 5.0
    image_sd: float = 20.0
    noise: SeedNoise = "normal"

    def draw(self, rng: np.random.Generator, replicates: int = 200) -> list[Arm]:
        """One study: every arm's scores and its replicates over the same image draws."""
        arms, images = len(self.gains), self.images
        spread_A = np.broadcast_to(np.asarray(self.seed_sd, dtype=float), (arms,))
        run_AN = np.asarray(self.gains)[:, None] + spread_A[:, None] * self._seed_noise(rng)
        value_ANI = (
            run_AN[:, :, None]
            + rng.normal(0, self.image_sd, images)
            + rng.normal(0, self.arm_image_sd, (arms, 1, images))
            + rng.normal(0, self.seed_image_sd, (arms, self.seeds, images))
        )
        weights_RI = resample_weights(images, replicates, rng)
        replicates_ANR = value_ANI @ (weights_RI.T / images)
        return [
            Arm(value_NI.mean(axis=1), replicates_NR, images)
            for value_NI, replicates_NR in zip(value_ANI, replicates_ANR, strict=True)
        ]

    def _seed_noise(self, rng: np.random.Generator) -> np.ndarray:
        """[A, N], mean 0; standard deviation 1 for normal and heavy."""
        shape = (len(self.gains), self.seeds)
        if self.noise == "normal":
            return rng.normal(size=shape)
        if self.noise == "heavy":
            return rng.standard_t(3, size=shape) / np.sqrt(3)
        return rng.normal(size=shape) - 5.0 * ((rng.random(shape) < 0.1) - 0.1)


@dataclass(frozen=True)
class DetectionWorld:
    """Runs that find ellipses of varying difficulty; qualities are logits of the mean mask IoU.

    Args:
        qualities: of each arm; 1.7 gives an AP near 60.
        seed_sd: between the seeds of an arm.
        arm_image_sd: how differently an arm takes an image than others do.
        object_sd: between objects, the same for everyone.
        noise_sd: of one run on one object.
    """

    qualities: tuple[float, ...] = (1.7, 1.7)
    seeds: int = 3
    images: int = 60
    seed_sd: float = 0.1
    arm_image_sd: float = 0.2
    object_sd: float = 0.6
    noise_sd: float = 0.3
    objects_per_image: float = 3.0
    false_alarms_per_image: float = 1.0

    def draw(self, rng: np.random.Generator, replicates: int = 200) -> list[Arm]:
        """One study: exact AP in percent of every run, and its replicates."""
        objects_I = rng.poisson(self.objects_per_image, self.images)
        difficulty = rng.normal(0, self.object_sd, objects_I.sum())
        weights_RI = resample_weights(self.images, replicates, rng)
        arms = []
        for quality in self.qualities:
            taste_I = rng.normal(0, self.arm_image_sd, self.images)
            scores, rows = [], []
            for _ in range(self.seeds):
                found = self._run(quality, objects_I, difficulty, taste_I, rng)
                scores.append(100 * mean_ap(average_precision(found))[0])
                rows.append(100 * mean_ap(average_precision(found, weights_RI)))
            arms.append(Arm(np.array(scores), np.array(rows), self.images))
        return arms

    def true_ap(self, quality: float, rng: np.random.Generator, images: int = 20_000) -> float:
        """AP in percent of one run without a seed's effect, on very many images."""
        objects_I = rng.poisson(self.objects_per_image, images)
        difficulty = rng.normal(0, self.object_sd, objects_I.sum())
        taste_I = rng.normal(0, self.arm_image_sd, images)
        found = self._run(quality, objects_I, difficulty, taste_I, rng, seed_sd=0.0)
        return float(100 * mean_ap(average_precision(found))[0])

    def _run(
        self,
        quality: float,
        objects_I: np.ndarray,
        difficulty: np.ndarray,
        taste_I: np.ndarray,
        rng: np.random.Generator,
        seed_sd: float | None = None,
    ) -> Matches:
        image = np.repeat(np.arange(len(objects_I)), objects_I)
        logit = quality + rng.normal(0, self.seed_sd if seed_sd is None else seed_sd)
        logit = logit + difficulty + taste_I[image] + rng.normal(0, self.noise_sd, len(image))
        iou = 1 / (1 + np.exp(-logit))
        alarms = np.repeat(
            np.arange(len(objects_I)), rng.poisson(self.false_alarms_per_image, len(objects_I))
        )
        iou_D = np.concatenate([iou, np.zeros(len(alarms))])
        image_D = np.concatenate([image, alarms])
        score_D = np.concatenate([rng.beta(5, 2, len(image)), rng.beta(2, 4, len(alarms))])
        order = np.argsort(-score_D, kind="stable")
        matched_TD = (iou_D >= IOU_THRESHOLDS[:, None])[:, order]
        found = ClassMatches(
            "object",
            score_D[order],
            image_D[order],
            matched_TD,
            np.zeros_like(matched_TD),
            objects_I,
        )
        return Matches(tuple(range(len(objects_I))), (found,))
