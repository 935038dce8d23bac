"""Exact COCO average precision of a resampled validation set, and bootstrap replicates of it.

An image drawn m times counts m times: a replicate is what pycocotools returns for a data set that
holds m copies of it next to each other. Precision can only peak at a true positive, so a
replicate needs one running sum over all detections and, for each IoU threshold, running sums over
its true positives alone.

Shape letters: R replicates, I images, K classes, T IoU thresholds, D detections, P true positives.
"""

from __future__ import annotations

import numpy as np

from sweeps.matches import ClassMatches, Matches

RECALL_LEVELS = np.linspace(0.0, 1.0, 101)
# Bounds the memory of one chunk of replicates to some tens of MB.
CHUNK_ELEMENTS = 2_000_000


def resample_weights(images: int, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """How often each image is drawn when `images` are drawn with replacement.

    Returns:
        int64 [R, I]; every row sums to `images`.
    """
    probabilities = np.full(images, 1 / images)
    return rng.multinomial(images, probabilities, size=replicates)


def average_precision(matches: Matches, weights_RI: np.ndarray | None = None) -> np.ndarray:
    """AP in [0, 1] for every replicate, class and IoU threshold; NaN where a class has no object.

    Args:
        matches: one run, one task.
        weights_RI: how often each image counts, integers >= 0; None counts each image once.

    Returns:
        float64 [R, K, T].

    Raises:
        ValueError: the weights are not integers, or not one for each image.
    """
    images = len(matches.image_ids)
    if weights_RI is None:
        weights_RI = np.ones((1, images), dtype=np.int64)
    if weights_RI.shape[1:] != (images,) or not np.issubdtype(weights_RI.dtype, np.integer):
        raise ValueError(
            f"weights {weights_RI.dtype}{list(weights_RI.shape)}: expected integers [R, {images}]"
        )
    return np.stack([_class_ap(each, weights_RI) for each in matches.classes], axis=1)


def precision_curves(matches: Matches) -> np.ndarray:
    """Interpolated precision at the 101 recall levels, each image counted once.

    Returns:
        float64 [K, T, 101]; NaN where a class has no object. Its mean over the levels is AP.
    """
    thresholds = len(matches.classes[0].matched_TD) if matches.classes else 0
    curves_KTL = np.full((len(matches.classes), thresholds, len(RECALL_LEVELS)), np.nan)
    for k, found in enumerate(matches.classes):
        objects = int(found.objects_I.sum())
        for t in range(thresholds) if objects else ():
            counted_D = ~found.ignored_TD[t]
            right_P = np.flatnonzero(found.matched_TD[t] & counted_D)
            true_P = np.arange(1, len(right_P) + 1)
            precision_P = true_P / (counted_D.cumsum()[right_P] + np.spacing(1))
            envelope_P = np.maximum.accumulate(precision_P[::-1])[::-1]
            index_L = np.searchsorted(true_P / objects, RECALL_LEVELS, side="left")
            curves_KTL[k, t] = np.append(envelope_P, 0.0)[index_L]
    return curves_KTL


def mean_ap(ap_RKT: np.ndarray) -> np.ndarray:
    """COCO's AP: the mean over thresholds and over the classes that have objects; [R]."""
    return threshold_ap(ap_RKT).mean(axis=1)


def threshold_ap(ap_RKT: np.ndarray) -> np.ndarray:
    """Mean over the classes that have objects, [R, T]; NaN where no class has any."""
    present_RKT = ~np.isnan(ap_RKT)
    count_RT = present_RKT.sum(axis=1)
    total_RT = np.where(present_RKT, ap_RKT, 0.0).sum(axis=1)
    return np.where(count_RT > 0, total_RT / np.maximum(count_RT, 1), np.nan)


def _class_ap(found: ClassMatches, weights_RI: np.ndarray) -> np.ndarray:
    """[R, T]"""
    found, copy_D = _with_tied_copies(found, int(weights_RI.max(initial=0)))
    ap_RT = np.empty((len(weights_RI), len(found.matched_TD)))
    step = max(1, CHUNK_ELEMENTS // max(1, len(found.image_D)))
    for start in range(0, len(weights_RI), step):
        chunk_RI = weights_RI[start : start + step]
        weight_RD = chunk_RI[:, found.image_D]
        several = np.flatnonzero(copy_D >= 0)
        weight_RD[:, several] = weight_RD[:, several] > copy_D[several]
        cumulative_RD = weight_RD.cumsum(axis=1)
        objects_R = chunk_RI @ found.objects_I
        for t, (matched_D, ignored_D) in enumerate(
            zip(found.matched_TD, found.ignored_TD, strict=True)
        ):
            ap_RT[start : start + step, t] = _threshold_ap(
                weight_RD, cumulative_RD, matched_D, ignored_D, objects_R
            )
    return ap_RT


def _threshold_ap(
    weight_RD: np.ndarray,
    cumulative_RD: np.ndarray,
    matched_D: np.ndarray,
    ignored_D: np.ndarray,
    objects_R: np.ndarray,
) -> np.ndarray:
    """[R]; NaN where the replicate holds no object."""
    right_P = np.flatnonzero(matched_D & ~ignored_D)
    true_RP = weight_RD[:, right_P].cumsum(axis=1)
    all_RP = cumulative_RD[:, right_P]
    skipped = np.flatnonzero(ignored_D)
    if len(skipped):
        skipped_RS = np.pad(weight_RD[:, skipped].cumsum(axis=1), ((0, 0), (1, 0)))
        all_RP = all_RP - skipped_RS[:, np.searchsorted(skipped, right_P)]
    # np.spacing(1) is the reference's guard against 0 / 0; kept so that results are equal.
    precision_RP = true_RP / (all_RP + np.spacing(1))
    envelope_RP = np.maximum.accumulate(precision_RP[:, ::-1], axis=1)[:, ::-1]
    recall_RP = true_RP / np.maximum(objects_R, 1)[:, None]
    # A true positive answers for the recall levels between its predecessor's recall and its own.
    levels_RP = np.diff(_levels_reached(recall_RP), axis=1, prepend=0)
    ap_R = (envelope_RP * levels_RP).sum(axis=1) / len(RECALL_LEVELS)
    return np.where(objects_R > 0, ap_R, np.nan)


def _levels_reached(recall: np.ndarray) -> np.ndarray:
    """How many of the recall levels are at most `recall`, compared exactly as floating numbers."""
    last = len(RECALL_LEVELS) - 1
    guess = (recall * last).astype(np.int64)
    guess -= RECALL_LEVELS[guess] > recall
    return guess + 1 + (RECALL_LEVELS[np.minimum(guess + 1, last)] <= recall) * (guess < last)


def _with_tied_copies(found: ClassMatches, copies: int) -> tuple[ClassMatches, np.ndarray]:
    """Lay out detections of equal score in one image as repeated images would have them.

    Two detections a, b of the same score in an image drawn twice stand as a b a b, not a a b b, and
    that changes the precision in between when only one of them is right. Such groups are written
    out `copies` times; copy c of an image counts where the image is drawn more than c times.

    Returns:
        The matches, and each detection's copy number, or -1 where its weight is taken whole.
    """
    same = np.flatnonzero((np.diff(found.scores_D) == 0) & (np.diff(found.image_D) == 0))
    if copies < 2 or not len(same):
        return found, np.full(len(found.scores_D), -1)
    tied_D = np.zeros(len(found.scores_D), dtype=bool)
    tied_D[same] = tied_D[same + 1] = True
    starts_D = np.ones(len(tied_D), dtype=bool)
    starts_D[same + 1] = False
    group_D = starts_D.cumsum()
    repeats_D = np.where(tied_D, copies, 1)
    source = np.repeat(np.arange(len(tied_D)), repeats_D)
    within = np.arange(len(source)) - np.repeat(repeats_D.cumsum() - repeats_D, repeats_D)
    order = np.lexsort((source, within, group_D[source]))
    source, copy = source[order], np.where(tied_D[source], within, -1)[order]
    expanded = ClassMatches(
        found.name,
        found.scores_D[source],
        found.image_D[source],
        found.matched_TD[:, source],
        found.ignored_TD[:, source],
        found.objects_I,
    )
    return expanded, copy
