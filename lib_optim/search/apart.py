"""Calls into packages that seed the global random states and warn: both are given back as they were."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Iterator

import numpy as np

__all__ = ["apart"]


@contextlib.contextmanager
def apart(seed: int | None = None) -> Iterator[None]:
    """Keep the global random states, seeded with `seed` in between where one is given; show no warning."""
    ours, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is this state that must be kept
    try:
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numbers)  # noqa: NPY002
