"""The same image from the same seed, also where the WebUI or a script draws from the process's own generators."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

__all__ = ["seeded"]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's generators; put them back afterwards.

    The noise of an image has a generator of its own. What the VAE draws when it encodes an init image has none (latent
    diffusion's ``DiagonalGaussianDistribution.sample``), nor has what a script draws.
    """
    import numpy as np
    import torch

    devices = [torch.cuda.current_device()] if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    python, array = random.getstate(), np.random.get_state()  # noqa: NPY002 - what scripts use
    with torch.random.fork_rng(devices=devices):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - likewise
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)  # noqa: NPY002 - likewise
