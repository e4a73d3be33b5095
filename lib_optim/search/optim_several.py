"""Several objectives for our own sampler: one landscape is drawn per axis, and random weights make them one.

Thompson sampling under random scalarisations (Paria, Kandasamy and Póczos 2019, arXiv:1805.12168): every axis has a
model of its own, so that each stays as smooth as it is, and every trial wants something else of them: weights drawn
evenly from the simplex, as in ParEGO (Knowles 2006), and the augmented Chebyshev function of the axes' losses, which
can reach every point of a front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lib_optim.search.optim_model import standardised

__all__ = ["Goal", "overall"]

Array = NDArray[np.float64]
Drawn = Callable[[Array], tuple[Array, Array]]
_RHO = 0.05
_LEAST_RANGE = 0.1  # of an axis, in its SDs: below that a front has no extent that could be scaled by


class Goal:
    """What one trial wants of the axes. With one axis: that axis as it is, and nothing is drawn.

    Args:
        means: What the models expect of the known points, shape (axes, n).
        rng: Draws the weights.

    Attributes:
        expected: The same of all axes together, shape (n,).
    """

    def __init__(self, means: Array, rng: np.random.Generator) -> None:
        if len(means) == 1:
            self.expected = means[0]
            return
        self._best = means.max(1)
        extent = np.maximum(self._best - means[:, _front(means)].min(1), _LEAST_RANGE)
        self._scale = (rng.dirichlet(np.ones(len(means))) / extent)[:, None]
        self.expected = self._together(means)[0]

    def of(self, drawn: Sequence[Drawn]) -> Drawn:
        """Return the one function to climb, given one function per axis as from `Model.draw`."""
        if len(drawn) == 1:
            return drawn[0]

        def function(points: Array) -> tuple[Array, Array]:
            values, slopes = zip(*(draw(points) for draw in drawn), strict=True)
            value, worst = self._together(np.stack(values))
            steep = self._scale[:, :, None] * np.stack(slopes)
            return value, steep[worst, np.arange(len(points))] + _RHO * steep.sum(0)

        return function

    def _together(self, values: Array) -> tuple[Array, NDArray[np.intp]]:
        losses = self._scale * (self._best[:, None] - values)
        return -(losses.max(0) + _RHO * losses.sum(0)), losses.argmax(0)


def overall(scores: Array) -> Array:
    """Return one number per trial, shape (axes, n) -> (n,), by which a few good ones can be told from very many."""
    return scores[0] if len(scores) == 1 else np.asarray(np.mean([standardised(axis) for axis in scores], axis=0))


def _front(means: Array) -> NDArray[np.bool_]:
    """Return which of the points, (axes, n), no other one dominates."""
    points = means.T
    at_least = (points[:, None] >= points[None]).all(2)
    better = (points[:, None] > points[None]).any(2)
    return np.asarray(~(at_least & better).any(0))
