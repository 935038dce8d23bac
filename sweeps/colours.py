"""One fixed colour a loss, the same on every figure and on the page, legible on white and on black.

The survey's losses have colours far apart; relatives (Huber at several δ) share a hue. A loss that
is not listed gets a hue from its name, so that it too is the same everywhere.
"""

from __future__ import annotations

import colorsys
import zlib

COLOURS = {
    "bce": "#3f7fdb",
    "balanced_bce": "#6fa3ea",
    "border_bce": "#5b8def",
    "label_smoothing_bce": "#86b1ec",
    "topk_bce": "#2f66b8",
    "focal": "#1aa3bd",
    "poly1": "#4fbfd3",
    "mse": "#e9822d",
    "mae": "#c8a227",
    "huber": "#2f9e55",
    "huber_d2": "#5cb874",
    "huber_d3": "#8acb92",
    "log_cosh": "#8d8fb5",
    "log_cosh_bce": "#e05fa8",
    "log_cosh_dice": "#a5673f",
    "log_cosh_bce_dice": "#e79cc8",
    "dice": "#d9434e",
    "dice_squared": "#e9757d",
    "generalised_dice": "#b8323e",
    "jaccard": "#ef8f6b",
    "tversky": "#c9553a",
    "focal_tversky": "#dd6f4e",
    "lovasz_hinge": "#7d8a2e",
    "boundary": "#6c7a89",
    "boundary_iou": "#8d99a6",
    "hausdorff_dt": "#54626f",
    "bce_dice": "#8b6fd6",
    "combo": "#a58be0",
    "unified_focal": "#3f8f8c",
    "mse_bce": "#9b4fd1",
    "huber_bce": "#12a28c",
    "mse_huber": "#d9a400",
    "huber_mse": "#a8842c",
}
# Arms of one loss (other α, other batch size) share its colour and differ in these.
LINE_STYLES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]
MARKERS = ["o", "s", "^", "D", "v"]


def loss_colour(loss: str) -> str:
    """The colour of a loss as `#rrggbb`."""
    if loss in COLOURS:
        return COLOURS[loss]
    hue = zlib.crc32(loss.encode()) / 2**32
    red, green, blue = colorsys.hls_to_rgb(hue, 0.52, 0.5)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
