"""Extract: what two fine-tunings share, or do not. Behaviour: sd-webui-supermerger, calculation "extract"."""

import torch
from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["extract"]


@own_method
def extract(a: Tensor, b: Tensor, c: Tensor, alpha: float = 0.5, beta: float = 0.0, gamma: float = 1.0) -> Tensor:
    """Return A + lerp(x, y, alpha)·lerp(d, 1 − d, beta), with x = B − A and y = C − A.

    d = ((cos(x, y) + 1)/2)^gamma along the last dimension: 1 where both changed A in one direction. So beta = 0 keeps
    what they share and beta = 1 what they do not; a large gamma demands closer likeness. alpha, beta from 0 to 1,
    gamma from 0.
    """
    x, y = b - a, c - a
    cosine = torch.cosine_similarity(x.reshape(-1, x.shape[-1] if x.dim() else 1),
                                     y.reshape(-1, y.shape[-1] if y.dim() else 1), dim=-1).clamp(-1, 1)  # fmt: skip
    d = ((cosine + 1) / 2).pow(gamma).reshape((*x.shape[:-1], 1) if x.dim() else ())
    return a + torch.lerp(x, y, alpha) * torch.lerp(d, 1 - d, beta)
