"""Box losses: how far a predicted box is from its ground truth, one value a positive prior.

    loss(predicted_loc_N4, target_loc_N4, priors_N4) -> Tensor of shape (N,)

Offsets are in SSD's code with variances 0.1 and 0.2, priors cx, cy, w, h relative to the image.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from losses.precision import at_least_float32


class SmoothL1(nn.Module):
    """Smooth L1 of the encoded offsets, summed over the four: YOLACT's own.

    Formula: Σ(a²/(2β) if |a| < β else |a| − β/2), a = predicted − target

    Args:
        beta: where the quadratic part ends, > 0.

    Source: Girshick 2015, Fast R-CNN.
    """

    def __init__(self, *, beta: float = 1.0) -> None:
        super().__init__()
        if not 0 < beta < float("inf"):
            raise ValueError(f"smooth_l1: beta={beta!r}, must be a number in (0, ∞)")
        self.beta = beta

    def forward(self, predicted_N4: Tensor, target_N4: Tensor, priors_N4: Tensor) -> Tensor:
        """Values [N] of encoded boxes [N, 4]; the priors are not looked at."""
        check_boxes("smooth_l1", predicted_N4, target_N4, priors_N4)
        predicted_N4, target_N4 = at_least_float32(predicted_N4), at_least_float32(target_N4)
        error_N4 = F.smooth_l1_loss(predicted_N4, target_N4, reduction="none", beta=self.beta)
        return error_N4.sum(dim=1)


def check_boxes(name: str, predicted_N4: Tensor, target_N4: Tensor, priors_N4: Tensor) -> None:
    """Refuse boxes that are not [N, 4] all three.

    Raises:
        ValueError: naming the loss and the shapes.
    """
    shapes = [tuple(each.shape) for each in (predicted_N4, target_N4, priors_N4)]
    if len(set(shapes)) != 1 or predicted_N4.ndim != 2 or shapes[0][1] != 4:
        raise ValueError(f"{name}: predicted, target, priors of shapes {shapes}, must be [N, 4]")
