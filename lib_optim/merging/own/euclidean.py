"""Euclidean add difference. Formula: s1dlx/meh (MIT), euclidean_add_difference."""

import torch
from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["euclidean_add_difference"]


@own_method
def euclidean_add_difference(a: Tensor, b: Tensor, c: Tensor, alpha: float = 0.5) -> Tensor:
    """Return C + d, where d has the signs and the length of lerp(A, B, alpha) − C.

    Its sizes are √((1 − alpha)·x² + alpha·y²), with x = A − C and y = B − C each brought to length 1. Where d would
    have no length, the result is C. alpha from 0 to 1.
    """
    x, y = _unit(a - c), _unit(b - c)
    target = torch.lerp(a, b, alpha) - c
    sizes = ((1 - alpha) * x * x + alpha * y * y).clamp(min=0).sqrt()
    length = torch.linalg.vector_norm(sizes)
    if length == 0:
        return c
    return c + torch.copysign(sizes, target) * (torch.linalg.vector_norm(target) / length)


def _unit(x: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(x)
    return x if length == 0 else x / length
