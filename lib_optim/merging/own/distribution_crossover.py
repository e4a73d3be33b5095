"""Distribution crossover. Formula: s1dlx/meh (MIT), distribution_crossover."""

import torch
from torch import Tensor

from lib_optim.merging.registration import own_method

__all__ = ["distribution_crossover"]


@own_method
def distribution_crossover(a: Tensor, b: Tensor, c: Tensor, alpha: float = 0.5, beta: float = 0.0) -> Tensor:
    """Return low frequencies of A with high ones of B, where the weights stand in the order of C's.

    The frequencies run from 0 to 1; below alpha they are A's, above B's, and over the width beta they fade. A single
    number is alpha·A + (1 − alpha)·B. At alpha 1 all is A's.
    """
    if a.dim() == 0:
        return torch.lerp(b, a, alpha)
    order = torch.argsort(c.flatten(), stable=True)
    spectrum_a, spectrum_b = (torch.fft.rfft(x.flatten()[order]) for x in (a, b))
    n = spectrum_a.numel()
    frequency = torch.arange(n, device=a.device, dtype=torch.float32) / n
    share = ((frequency - alpha) / beta + 0.5).clamp(0, 1) if beta > 1e-10 else (frequency >= alpha).float()
    mixed = torch.fft.irfft((1 - share) * spectrum_a + share * spectrum_b, a.numel())
    result = torch.empty_like(mixed)
    result[order] = mixed
    return result.reshape(a.shape)
