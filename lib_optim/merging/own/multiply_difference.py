"""Multiply difference. Formula: s1dlx/meh (MIT), multiply_difference."""

import torch
from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["multiply_difference"]


@own_method
def multiply_difference(a: Tensor, b: Tensor, c: Tensor, alpha: float = 0.5, beta: float = 0.5) -> Tensor:
    """Return C ± |A − C|^(1 − alpha)·|B − C|^alpha, with the sign of lerp(A, B, beta) − C. alpha from 0 to 1."""
    size = (a - c).abs().pow(1 - alpha) * (b - c).abs().pow(alpha)
    return c + torch.copysign(size, torch.lerp(a, b, beta) - c)
