"""Sums weighted by likeness: what the four cosine modes of sd-webui-model-mixer are meant to do."""

import torch
from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["cosine_add_difference", "cosine_sum"]


@own_method
def cosine_sum(a: Tensor, b: Tensor, alpha: float = 0.5, inverse: bool = False, mean: bool = False) -> Tensor:
    """Return A·(1 − k·alpha) + B·k·alpha, where k tells how much alike the columns of A and B are.

    k is the absolute cosine of each column (first dimension), stretched so that its 1st and 99th percentile are 0 and
    1; `inverse` takes 1 − k, so that B comes in where they differ; `mean` takes one k for the whole tensor. Where all
    columns are equally alike, and for vectors, k is 1.
    """
    return torch.lerp(a, b, alpha * _likeness(a, b, inverse, mean))


@own_method
def cosine_add_difference(
    a: Tensor, b: Tensor, c: Tensor, alpha: float = 0.5, inverse: bool = False, mean: bool = False
) -> Tensor:
    """Return A + (B − C)·k·alpha, k as in `cosine_sum`."""
    return a + (b - c) * (alpha * _likeness(a, b, inverse, mean))


def _likeness(a: Tensor, b: Tensor, inverse: bool, mean: bool) -> Tensor:
    alike = torch.cosine_similarity(a, b, dim=0).abs()
    inner = alike.flatten()
    inner = inner[inner >= torch.quantile(inner, 0.01, interpolation="midpoint")]
    inner = inner[inner <= torch.quantile(inner, 0.99, interpolation="midpoint")]
    low, high = (inner.min(), inner.max()) if inner.numel() else (alike.min(), alike.min())
    if low == high:
        return torch.ones_like(low)
    k = (alike - low) / (high - low)
    k = 1 - k if inverse else k
    return k.mean() if mean else k
