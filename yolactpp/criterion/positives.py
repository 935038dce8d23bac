"""The positive priors that train masks: at most so many an image, drawn at random.

Shape letters: B images, P priors, K places (the longest image's positives), N instances.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DrawSubset = Callable[[Tensor, int], Tensor]
"""(is_positive_BP, cap) -> float [B, P]: the cap largest of an image train, those below 0 never."""


@dataclass
class Positives:
    """Positive priors in places of equal number an image.

    Args:
        prior_BK: int64.
        is_valid_BK: False in the places an image does not fill.
        all_B: float32; positives of each image before the draw.
    """

    prior_BK: Tensor
    is_valid_BK: Tensor
    all_B: Tensor

    @property
    def rescaling_B(self) -> Tensor:
        """All positives over those drawn: what makes up for the ones left out."""
        return self.all_B / self.is_valid_BK.sum(1).clamp(min=1)


def draw_positives(
    is_positive_BP: Tensor, cap: int, draw: DrawSubset, static_shapes: bool = False
) -> Positives:
    """Choose up to `cap` positives of each image.

    Args:
        is_positive_BP: bool.
        draw: how the subset of an image with more is drawn.
        static_shapes: gives every image `cap` places, whatever it holds.
    """
    count_B = is_positive_BP.sum(1)
    places = min(cap, is_positive_BP.shape[1])
    if not static_shapes:
        places = min(places, int(count_B.max()))
    key_BK, prior_BK = draw(is_positive_BP, cap).topk(places, dim=1)
    return Positives(prior_BK, key_BK >= 0, count_B.float())


def draw_shared(is_positive_BP: Tensor, cap: int) -> Tensor:  # noqa: ARG001
    """One random number a prior, shared by the images: the largest are taken.

    The generator moves by the same amount at every step, and an image's subset does not hang on
    which other images are in its batch or on its rank.
    """
    key_P = torch.rand(is_positive_BP.shape[1], device=is_positive_BP.device)
    return torch.where(is_positive_BP, key_P, -1.0)


def draw_permutations(is_positive_BP: Tensor, cap: int) -> Tensor:
    """The original's draw: one `torch.randperm` for each image above the cap, in order."""
    key_BP = is_positive_BP.float() - 1
    key_BP[~is_positive_BP] = -1
    for image in (is_positive_BP.sum(1) > cap).nonzero().flatten().tolist():
        prior_N = is_positive_BP[image].nonzero().flatten()
        chosen = prior_N[torch.randperm(len(prior_N), device=prior_N.device)[:cap]]
        key_BP[image] = -1
        key_BP[image, chosen] = 0
    return key_BP
