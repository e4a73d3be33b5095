"""Similarity add difference. Formula: s1dlx/meh (MIT), similarity_add_difference."""

import torch
from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["similarity_add_difference"]


@own_method
def similarity_add_difference(a: Tensor, b: Tensor, c: Tensor, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
    """Return a weighted sum where A and B agree, an added difference where they do not, weight by weight.

    With s = beta·(A·B / max(|A|, |B|)² + 1)/2, and s = beta where both are 0, this is
    (1 − s)·(A + alpha·(B − C)) + s·lerp(A, B, alpha/2).
    """
    largest = torch.maximum(a.abs(), b.abs())
    # Each divided by itself first: the square of a small weight would be 0.
    alike = torch.nan_to_num((a / largest) * (b / largest), nan=1.0)
    s = beta * (alike + 1) / 2
    return torch.lerp(a + alpha * (b - c), torch.lerp(a, b, alpha / 2), s)
