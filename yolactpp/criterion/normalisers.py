"""By what the losses of a step are divided, on one process and on several.

Under DDP the gradients of the ranks are averaged. A rank therefore divides its sums by the global
count over the number of ranks: the average is then the gradient of the global batch in one process
(`test_two_ranks_equal_one_process`). The original divides each rank's by its own count.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ReduceSum = Callable[[Tensor], Tensor]
"""A tensor to its sum over all ranks; the identity on one process."""


def identity(value: Tensor) -> Tensor:
    """The sum over one process."""
    return value


@dataclass
class Normalisers:
    """Scalars by which sums are divided; at least a rank's share of one.

    Args:
        positives: positive priors.
        mask_iou_samples: masks the mask-IoU net looks at.
        images: images of the batch.
    """

    positives: Tensor
    mask_iou_samples: Tensor
    images: Tensor

    @classmethod
    def of_counts(
        cls, positives: Tensor, mask_iou_samples: Tensor, images: int, reduce_sum: ReduceSum
    ) -> "Normalisers":
        """Counts of this process, summed over the ranks in one exchange."""
        one = torch.ones_like(positives)
        local = torch.stack([positives, mask_iou_samples, one * images, one]).float()
        *counts, ranks = reduce_sum(local).unbind()
        return cls(*(count.clamp(min=1) / ranks for count in counts))
