"""What was drawn for one training image's pixels, before any of them is touched."""

from __future__ import annotations

from dataclasses import dataclass

from yolactpp.data.photometric import Distortion
from yolactpp.data.view import View


@dataclass(frozen=True)
class Plan:
    """From the image on disk to the network's input, but for resizing and normalisation.

    Args:
        view: what is seen of the image.
        distortion: of its colours; None leaves them alone.
        mirrored: left and right change places.
        flipped: then top and bottom.
        turns: then anticlockwise by 90 degrees, so often.
    """

    view: View
    distortion: Distortion | None
    mirrored: bool
    flipped: bool
    turns: int

    @property
    def orientation(self) -> tuple[bool, bool, int]:
        """mirrored, flipped, turns: arguments of yolactpp.data.orient."""
        return self.mirrored, self.flipped, self.turns

    @property
    def sides_hw(self) -> tuple[int, int]:
        """Height and width of the view once it is turned, pixels."""
        height, width = self.view.height, self.view.width
        return (width, height) if self.turns % 2 else (height, width)
