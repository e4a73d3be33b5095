"""One model and noise. Behaviour: sd-webui-supermerger, calculation "plus random"."""

import zlib
from typing import Any

import torch
from torch import Tensor

from lib_optim.merging.own.self_scale import KEPT
from lib_optim.merging.registration import own_method

__all__ = ["add_noise"]


@own_method
def add_noise(a: Tensor, alpha: float = 0.0, seed: int = 0, **kwargs: Any) -> Tensor:
    """Return A + alpha·noise from a normal distribution, but output projections and norms as they are.

    Every tensor has noise of its own, which `seed` and its name determine; it is drawn on the CPU, so that no two
    devices differ.
    """
    if any(word in kwargs["key"] for word in KEPT):
        return a
    # The CPU's generator reads 32 bits of its seed, so that both go into those.
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {kwargs['key']}".encode()))
    return a + alpha * torch.randn(a.shape, generator=generator).to(a.device)
