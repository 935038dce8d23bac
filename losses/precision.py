"""At least float32, whatever autocast or the model's dtype says."""

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor itself in float32 or float64, a float32 copy of a shorter type."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
