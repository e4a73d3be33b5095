"""A small Gaussian process for looking back at a run: Matérn-5/2, one length scale per parameter, numpy and scipy only.

It explains scores that are there; the samplers have their own models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Fit", "fit", "kernel"]

_NOISE_CENTRE, _NOISE_SPREAD = -2.5, 1.2  # log noise SD on standardised scores: mostly signal, some luck
_SIGNAL_SPREAD = 0.7
_LENGTH_SPREAD = math.sqrt(3.0)
_JITTER = 1e-8


@dataclass(frozen=True)
class Fit:
    """What was learnt.

    Attributes:
        lengths: Length scale per parameter, in units of its range.
        signal: Variance of the standardised scores that the parameters explain.
        noise: Variance that they do not.
        weights: ``K⁻¹ y``, one number per trial: a point with kernel row k is predicted as signal · k · weights.
    """

    lengths: Floats
    signal: float
    noise: float
    weights: Floats


def kernel(squares: Floats) -> Floats:
    """Return Matérn-5/2 of squared scaled distances (Rasmussen & Williams 2006, equation 4.17)."""
    import numpy as np

    root = np.sqrt(5.0 * squares)
    return (1.0 + root + root * root / 3.0) * np.exp(-root)


def fit(differences: Floats, scores: Floats, steps: int) -> Fit:
    """Fit by maximum a posteriori, with analytic gradients.

    Args:
        differences: Squared differences between trials, per parameter: shape (D, n, n), parameters scaled to 0 to 1.
        scores: Standardised scores, shape (n,).
        steps: Most steps of L-BFGS.

    The prior on length scales grows with the dimension (Hvarfner et al. 2024, "Vanilla Bayesian optimization performs
    great in high dimensions"), so that a parameter matters only where the scores say so.
    """
    import numpy as np
    from scipy.optimize import minimize

    dimensions = differences.shape[0]
    centre = math.sqrt(2.0) + 0.5 * math.log(dimensions)
    first = np.concatenate([np.full(dimensions, centre - 1.0), [0.0, _NOISE_CENTRE]])
    found = minimize(
        _loss, first, args=(differences, scores, centre), jac=True, method="L-BFGS-B",
        bounds=[(-3.0, 8.0)] * dimensions + [(-4.0, 4.0), (-6.0, 1.5)], options={"maxiter": steps},
    )  # fmt: skip
    return _solved(found.x, differences, scores)


def _loss(x: Floats, differences: Floats, scores: Floats, centre: float) -> tuple[float, Floats]:
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve

    dimensions, n = differences.shape[0], len(scores)
    inverse = np.exp(-2.0 * x[:dimensions])
    signal, noise = math.exp(x[dimensions]), math.exp(2.0 * x[dimensions + 1])
    squares = np.tensordot(inverse, differences, 1)
    root = np.sqrt(5.0 * squares)
    shrink = np.exp(-root)
    k = (1.0 + root + root * root / 3.0) * shrink
    factor = cho_factor(signal * k + (noise + _JITTER) * np.eye(n), lower=True)
    weights = cho_solve(factor, scores)
    loss = 0.5 * float(scores @ weights) + float(np.log(np.diag(factor[0])).sum())
    # dL/dK = (K⁻¹ - w wᵀ) / 2
    slope = 0.5 * (cho_solve(factor, np.eye(n)) - np.outer(weights, weights))
    # dk/d(squares) = -5/6 (1 + root) exp(-root);  d(squares)/d(log length) = -2 difference / length²
    inner = slope * signal * (-5.0 / 6.0) * (1.0 + root) * shrink
    gradient = np.empty_like(x)
    gradient[:dimensions] = -2.0 * inverse * np.tensordot(differences, inner, 2)
    gradient[dimensions] = signal * float((slope * k).sum())
    gradient[dimensions + 1] = 2.0 * noise * float(np.trace(slope))
    spreads = np.concatenate([np.full(dimensions, _LENGTH_SPREAD), [_SIGNAL_SPREAD, _NOISE_SPREAD]])
    middle = np.concatenate([np.full(dimensions, centre), [0.0, _NOISE_CENTRE]])
    off = (x - middle) / spreads
    return loss + 0.5 * float(off @ off), gradient + off / spreads


def _solved(x: Floats, differences: Floats, scores: Floats) -> Fit:
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve

    dimensions, n = differences.shape[0], len(scores)
    signal, noise = math.exp(x[dimensions]), math.exp(2.0 * x[dimensions + 1])
    squares = np.tensordot(np.exp(-2.0 * x[:dimensions]), differences, 1)
    factor = cho_factor(signal * kernel(squares) + (noise + _JITTER) * np.eye(n), lower=True)
    return Fit(np.exp(x[:dimensions]), signal, noise, cho_solve(factor, scores))
