"""Cosine A and B as supermerger has them. Behaviour: sd-webui-supermerger, calculations "cosineA" and "cosineB".

supermerger first looks through the whole model for the smallest and the largest likeness (without the outer percent)
and stretches them to 0 and 1. Those are two numbers; here they are the parameters `low` and `high`, so that tensors
can be merged one by one. With 0 and 1, cosine B is sd-mecha's ``add_cosine_b``; its ``add_cosine_a`` leaves out the
likeness of the whole tensor.
"""

import torch
from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["cosine_a", "cosine_b"]


@own_method
def cosine_a(a: Tensor, b: Tensor, alpha: float = 0.5, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Return B·(1 − k) + A·k, k = (likeness − low)/(high − low) − alpha, kept from 0 to 1.

    The likeness is the mean of the cosine of each column and the cosine of the whole, of tensors whose columns were
    brought to length 1: it favours A's structure.
    """
    x, y = (torch.nn.functional.normalize(t, dim=0) for t in (a, b))
    return _mixed(a, b, _likeness(x, y), alpha, low, high)


@own_method
def cosine_b(a: Tensor, b: Tensor, alpha: float = 0.5, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Return as `cosine_a`, with the likeness of the tensors as they are: it favours B's structure."""
    return _mixed(a, b, _likeness(a, b), alpha, low, high)


def _likeness(x: Tensor, y: Tensor) -> Tensor:
    lengths = torch.linalg.vector_norm(x) * torch.linalg.vector_norm(y)
    whole = (x * y).sum() / lengths if lengths > 0 else torch.zeros_like(lengths)
    return (torch.cosine_similarity(x, y, dim=0) + whole) / 2


def _mixed(a: Tensor, b: Tensor, likeness: Tensor, alpha: float, low: float, high: float) -> Tensor:
    if not low < high:
        raise ValueError(f"low ({low:g}) must be below high ({high:g})")
    return torch.lerp(b, a, ((likeness - low) / (high - low) - alpha).clamp(0, 1))
