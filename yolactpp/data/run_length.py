"""COCO's run lengths: parsing the compressed string, and drawing an object's box alone.

pycocotools decodes to a whole image for every object and trusts its input; with hundreds of small
objects an image that is most of the time of loading it.
"""

from __future__ import annotations

import numpy as np


def parse_counts(compressed: bytes) -> np.ndarray | None:
    """Run lengths int64 [n] of COCO's compressed string; None where the string is not one.

    Five bits a character, lowest first, bit 32 marks that more follow, the last one's bit 16 is the
    sign; from the fourth count on, a count is relative to the one two before.
    """
    characters = np.frombuffer(compressed, np.uint8).astype(np.int64) - 48
    if not len(characters) or characters.min() < 0 or characters.max() > 63:
        return None
    is_last = characters < 32
    if not is_last[-1]:
        return None
    ends = np.flatnonzero(is_last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 10:
        return None
    shifts = 5 * (np.arange(len(characters)) - np.repeat(starts, lengths))
    counts = np.add.reduceat((characters & 31) << shifts, starts)
    is_negative = (characters[ends] & 16) > 0
    counts -= np.where(is_negative, np.int64(1) << (5 * lengths), 0)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts


def draw_runs(counts: np.ndarray, mask: np.ndarray) -> None:
    """Draw run lengths into a uint8 mask [H, W] of zeros, touching only the object's box.

    Args:
        counts: int64 [n], background first, down the columns; sum H * W.
        mask: written in place.
    """
    height = mask.shape[0]
    bounds = np.cumsum(counts)
    starts, stops = bounds[0::2][: len(bounds) // 2], bounds[1::2]
    is_run = stops > starts
    starts, stops = starts[is_run], stops[is_run]
    if not len(starts):
        return
    left, right = starts[0] // height, (stops[-1] - 1) // height + 1
    steps = np.zeros((right - left) * height + 1, np.int8)
    steps[starts - left * height] += 1
    steps[stops - left * height] -= 1
    columns = np.cumsum(steps[:-1], dtype=np.int8).reshape(-1, height)
    rows = np.flatnonzero(columns.any(axis=0))
    top, bottom = rows[0], rows[-1] + 1
    mask[top:bottom, left:right] = columns[:, top:bottom].T
