"""The model of our own sampler: a Gaussian process on what was observed, and functions drawn from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib_optim.search.optim_kernel import Features, Kernel, prior

__all__ = ["Axes", "Model", "fit"]

Array = NDArray[np.float64]
_WAVES = 200


@dataclass(frozen=True)
class Axes:
    """What is known of the D axes: which are `alike` (D, D, see the kernel), and whether that is used."""

    alike: Array
    smooth: bool = True


def standardised(scores: Array) -> Array:
    """Return `scores` with mean 0 and SD 1; zeros if they are all the same. Nothing finite overflows."""
    largest = np.abs(scores).max()
    scores = scores / largest if largest > 0 else scores
    scores = scores - scores.mean()
    sd = scores.std()
    return np.asarray(scores / sd if sd > 1e-12 else np.zeros_like(scores))


def fit(points: Array, scores: Array, axes: Axes, start: Array | None, steps: int) -> Array:
    """Return hyperparameters near their greatest posterior density.

    Args:
        points: (n, D) in ``[0, 1]``.
        scores: (n,), finite, greater is better.
        axes: See `Axes`.
        start: Where to begin, (D + 6), or None for the prior's mean.
        steps: Iterations of L-BFGS-B at most.
    """
    from scipy.optimize import minimize

    mean, sd = prior(points.shape[1], axes.smooth)
    features, y = Features.of(points), standardised(scores)

    def loss(theta: Array) -> tuple[float, Array]:
        away = (theta - mean) / sd
        try:
            value, gradient = _evidence(theta, features, y, axes.alike)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        return 0.5 * float(away @ away) - value, away / sd - gradient

    bounds = list(zip(mean - 4 * sd, mean + 4 * sd, strict=True))
    begin = mean if start is None else start
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps}).x
    return np.asarray(found)


def _evidence(theta: Array, features: Features, y: Array, alike: Array) -> tuple[float, Array]:
    """Return the log marginal likelihood (up to a constant) and its gradient."""
    from scipy.linalg.lapack import dpotrf, dpotri

    kernel = Kernel(theta, alike)
    terms = kernel.within(features)
    root, failed = dpotrf(terms.total + kernel.noise * np.eye(len(y)), lower=1)
    if failed:
        raise np.linalg.LinAlgError("not positive definite")
    inverse = np.tril(dpotri(root, lower=1)[0])
    inverse += np.tril(inverse, -1).T
    alpha = inverse @ y
    value = -0.5 * float(y @ alpha) - float(np.log(np.diag(root)).sum())
    return value, kernel.gradient(features, terms, 0.5 * (np.outer(alpha, alpha) - inverse))


class Model:
    """The Gaussian process with hyperparameters `theta`, given what was observed."""

    def __init__(self, points: Array, scores: Array, axes: Axes, theta: Array) -> None:
        from scipy.linalg import cho_factor

        self._seen = Features.of(points)
        self.kernel = Kernel(theta, axes.alike)
        covariance = self.kernel.within(self._seen).total + self.kernel.noise * np.eye(len(points))
        self._root = cho_factor(covariance, lower=True)
        self._alpha = self._solve(standardised(scores))

    def mean(self, points: Array) -> Array:
        """Return the expected scores (n,) of `points` (n, D), in standardised units."""
        return np.asarray(self.kernel.between(Features.of(points), self._seen) @ self._alpha)

    def _solve(self, right: Array) -> Array:
        from scipy.linalg import cho_solve

        return np.asarray(cho_solve(self._root, right))

    def draw(self, rng: np.random.Generator, boldness: float) -> Callable[[Array], tuple[Array, Array]]:
        """Draw one function that the observations allow; its deviation from the mean is scaled by `boldness`.

        Pathwise conditioning (Wilson et al. 2020, arXiv:2002.09309): a draw from the prior (random Fourier
        features for the Matérn term, exact weights for the others), corrected by what it gets wrong at the
        observed points.

        Returns:
            A function of points (n, D) that gives values (n,) and gradients (n, D).
        """
        kernel, seen = self.kernel, self._seen
        dims = len(kernel.rho)
        tails = np.sqrt(rng.chisquare(5, _WAVES) / 5)
        waves = rng.standard_normal((dims, _WAVES)) / tails * np.sqrt(kernel.rho)[:, None]
        phases = rng.uniform(0, 2 * np.pi, _WAVES)
        heights = rng.standard_normal(_WAVES) * np.sqrt(2 * kernel.variance[0] / _WAVES)
        slopes = kernel.w * (np.linalg.cholesky(kernel.trend + 1e-9 * np.eye(dims)) @ rng.standard_normal(dims))
        bends = np.sqrt(kernel.bends) * rng.standard_normal(dims) + np.sqrt(kernel.bowl) * rng.standard_normal()
        bends = kernel.w * bends
        there = np.cos(seen.x @ waves + phases) @ heights + seen.u @ slopes + seen.v @ bends
        noise = np.sqrt(kernel.noise) * rng.standard_normal(len(there))
        beta = self._alpha - boldness * self._solve(there + noise)
        # The polynomial terms of mean and draw together: one slope and one bend per axis.
        slope = kernel.w * (kernel.trend @ (kernel.w * (beta @ seen.u))) + boldness * slopes
        bend = kernel.w * (kernel.bends * kernel.w * (beta @ seen.v) + kernel.bowl * (beta @ (seen.v @ kernel.w)))
        bend += boldness * bends
        heights = boldness * heights

        def function(points: Array) -> tuple[Array, Array]:
            here = Features.of(points)
            covariance, pull = kernel.matern(here, seen)
            angle = points @ waves + phases
            value = covariance @ beta + here.u @ slope + here.v @ bend + np.cos(angle) @ heights
            pull = 2 * pull * beta
            gradient = kernel.rho * (points * pull.sum(1)[:, None] - pull @ seen.x)
            gradient += 2 * slope + 4 * here.u * bend - (np.sin(angle) * heights) @ waves.T
            return value, gradient

        return function
