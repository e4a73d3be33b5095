"""The kernel of our own sampler: which score landscapes over merge weights are likely, before any image.

Points are rows in ``[0, 1]^D``. With u = 2x - 1, v = u² - 1/3 and a relevance rho_i per axis, w = rho / |rho|, the
covariance of two points is the sum of

- a Matérn-5/2 kernel of the distance in which axis i counts rho_i: anything smooth;
- ``3 a_linear Σ w_i² u_i u'_i`` and ``11 a_quadratic Σ w_i² v_i v'_i``: a trend and a bend of its own per axis;
- ``11 a_bowl (Σ w_i v_i)(Σ w_i v'_i)``: one bend shared by all axes, as around a single best merge;
- ``3 a_smooth Σ_ij w_i u_i S_ij w_j u'_j``: trends alike in neighbouring blocks, S_ij = exp(-(t_i - t_j)² / 2 l²) for
  axes of the same kind at depths t, 0 for others.

One relevance drives all terms, so an axis found to matter in one way is expected to matter in the others, and with a
wide prior on log rho most axes may come to matter not at all. Priors are in units of standardised scores; the prior
of the relevance follows the dimension-scaled lengthscales of Hvarfner et al. 2024 (arXiv:2402.02229).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Features", "Kernel", "Terms", "prior"]

Array = NDArray[np.float64]
TERMS = 5  # variances: Matérn, linear, quadratic, bowl, smooth
_SQRT5 = np.sqrt(5.0)
_DEPTH_SCALE = 0.15  # l: a sixth of the depth of the model
_NONE = -12.0  # log variance of a term that is switched off


def prior(dims: int, smooth: bool) -> tuple[Array, Array]:
    """Return mean and SD of the normal prior of (log rho (D), log variances of the terms (5), log noise)."""
    relevance = -2 * (np.sqrt(2) + 0.5 * np.log(dims) - 1.5)
    terms = [np.log(0.5), np.log(0.3), np.log(0.1), np.log(0.3), np.log(0.1) if smooth else _NONE, -3.0]
    mean = np.concatenate([np.full(dims, relevance), terms])
    sd = np.concatenate([np.full(dims, 2.0), [1.0, 1.5, 1.5, 1.5, 1.5 if smooth else 0.01, 1.2]])
    return mean, sd


@dataclass(frozen=True)
class Features:
    """Points (n, D) and what the kernel makes of them: `u` and `v` as in the module's docstring."""

    x: Array
    u: Array
    v: Array

    @classmethod
    def of(cls, points: Array) -> Features:
        """Prepare `points`, shape (n, D)."""
        u = 2 * points - 1
        return cls(points, u, u**2 - 1 / 3)


@dataclass(frozen=True)
class Terms:
    """The terms of the covariance of n points with themselves, each (n, n), and what their gradients need."""

    matern: Array
    slope: Array  # d Matérn / d squared distance, of variance 1
    linear: Array
    quadratic: Array
    bowl: Array
    smooth: Array
    total: Array


class Kernel:
    """The kernel at one set of hyperparameters `theta` (D + 6), for axes with the neighbourhood `alike` (D, D)."""

    def __init__(self, theta: Array, alike: Array) -> None:
        dims = len(alike)
        self.rho = np.exp(theta[:dims])
        self.variance = np.exp(theta[dims : dims + TERMS])
        self.noise = float(np.exp(theta[dims + TERMS])) + 1e-6
        self.w = self.rho / np.sqrt((self.rho**2).sum())
        matern, linear, quadratic, bowl, smooth = self.variance
        del matern
        self.alike = alike
        self.trend = 3 * (linear * np.eye(dims) + smooth * alike)  # prior covariance of the slopes, but for w
        self.bends = 11 * quadratic
        self.bowl = 11 * bowl

    @staticmethod
    def neighbours(kinds: Array, depths: Array) -> Array:
        """Return S (D, D) for axes of `kinds` (D,) at `depths` (D,) from 0 to 1."""
        near = np.exp(-((depths[:, None] - depths) ** 2) / (2 * _DEPTH_SCALE**2))
        return np.asarray(near * (kinds[:, None] == kinds))

    def matern(self, a: Features, b: Features) -> tuple[Array, Array]:
        """Return the Matérn term (n, m) and its derivative by the squared distance."""
        squared = (self.rho * a.x**2).sum(1)[:, None] + (self.rho * b.x**2).sum(1) - 2 * (a.x * self.rho) @ b.x.T
        squared = np.maximum(squared, 0.0)
        scaled = _SQRT5 * np.sqrt(squared)
        falls = self.variance[0] * np.exp(-scaled)
        return falls * (1 + scaled + 5 / 3 * squared), -5 / 6 * falls * (1 + scaled)

    def between(self, a: Features, b: Features) -> Array:
        """Return the covariance (n, m) of the noiseless scores."""
        polynomial = ((a.u * self.w) @ self.trend) @ (b.u * self.w).T
        polynomial += self.bends * (a.v * self.w) @ (b.v * self.w).T
        polynomial += self.bowl * np.outer(a.v @ self.w, b.v @ self.w)
        return np.asarray(self.matern(a, b)[0] + polynomial)

    def within(self, a: Features) -> Terms:
        """Return the terms of the covariance of `a` with itself; exact on the diagonal."""
        matern, slope = self.matern(a, a)
        np.fill_diagonal(matern, self.variance[0])
        _, linear, quadratic, bowl, smooth = self.variance
        wu, wv = a.u * self.w, a.v * self.w
        sums = wv.sum(1)
        parts = [
            3 * linear * wu @ wu.T, 11 * quadratic * wv @ wv.T, 11 * bowl * np.outer(sums, sums),
            3 * smooth * (wu @ self.alike) @ wu.T,
        ]  # fmt: skip
        return Terms(
            matern, slope, parts[0], parts[1], parts[2], parts[3], matern + parts[0] + parts[1] + parts[2] + parts[3]
        )

    def gradient(self, a: Features, terms: Terms, outer: Array) -> Array:
        """Return d f / d theta, (D + 6), where `outer` = d f / d covariance (n, n), symmetric."""
        wu, wv = a.u * self.w, a.v * self.w
        by_w = 2 * (wu * ((outer @ wu) @ self.trend)).sum(0)
        by_w += 2 * self.bends * ((outer @ wv) * wv).sum(0) + 2 * self.bowl * (wv * (outer @ wv.sum(1))[:, None]).sum(0)
        by_rho = by_w - self.w**2 * by_w.sum()  # w has length 1
        pull = outer * terms.slope
        by_rho += 2 * self.rho * ((a.x**2 * pull.sum(1)[:, None]).sum(0) - (a.x * (pull @ a.x)).sum(0))
        parts = (terms.matern, terms.linear, terms.quadratic, terms.bowl, terms.smooth)
        noise = (self.noise - 1e-6) * np.trace(outer)
        return np.concatenate([by_rho, [(outer * part).sum() for part in parts], [noise]])
