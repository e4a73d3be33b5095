"""What a person likes, learned from a few dozen ratings: a Gaussian process over embeddings of images.

    y = mean + f(x) + noise,   f ~ GP(0, a² k),   noise ~ N(0, a² r)        (Rasmussen & Williams 2006, chapter 2)

x is an embedding, centred, reduced to its principal components and scaled to a mean square of 1. Kernels `k`: linear
(which is Bayesian ridge regression), and squared exponentials of several lengths, in units of the median distance. The
kernel and `r` maximise the marginal likelihood (a² has a closed form), with a broad prior on `r`: the noise is about
half the taste's variance, times or divided by e² (one standard deviation). Nothing is random: the same ratings give the
same model.

What lies outside of the components of the rated images adds to the uncertainty: an image unlike any that was rated is
uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_optim.plan.errors import ScorerError

__all__ = ["LEAST", "MOST", "TasteModel", "cross_validated", "fit_taste"]

Array = NDArray[np.float64]
LEAST = 20
"""Ratings from which on a taste may be learned."""
MOST = 1500
"""Ratings that are used at most, the newest ones: the work grows with their cube."""
LINEAR = 0.0
LENGTHS = (LINEAR, 0.5, 1.0, 2.0, 4.0)  # of the kernels, in medians of the distances
_KEPT_VARIANCE, _COMPONENTS = 0.999, 128
_PRIOR_MEAN, _PRIOR_SD = math.log(0.5), 2.0  # of log r
_RATIOS = np.arange(-6.0, 6.01, 0.25)


@dataclass(frozen=True)
class TasteModel:
    """A learned taste.

    Attributes:
        mean: Of the rated images' embeddings, (d,).
        components: Principal components, (k, d), of length 1 each.
        scale: What the projections are divided by.
        seen: Projections of the rated images, (n, k).
        ratings: Of those images, (n,), 0 to 10.
        length: Of the kernel, 0 for the linear one.
        signal: a².
        ratio: r.
    """

    mean: Array
    components: Array
    scale: float
    seen: Array
    ratings: Array
    length: float
    signal: float
    ratio: float

    def __post_init__(self) -> None:
        kernel = _kernel(self.seen, self.seen, self.length)
        inverse = np.linalg.inv(kernel + self.ratio * np.eye(len(kernel)))
        object.__setattr__(self, "_inverse", inverse)
        object.__setattr__(self, "_weights", inverse @ (self.ratings - self.ratings.mean()))

    def predict(self, embeddings: Array) -> tuple[Array, Array]:
        """Return for each embedding, (m, d), the rating expected, (m,), and its standard deviation, without the noise
        of a rating itself.

        Raises:
            ScorerError: They are of another width.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != len(self.mean):
            raise ScorerError(
                f"This taste was learned from embeddings of {len(self.mean)} numbers, not {embeddings.shape[-1]}; "
                "train it again."
            )
        centred = (embeddings - self.mean) / self.scale
        within = centred @ self.components.T
        outside = np.maximum((centred**2).sum(axis=1) - (within**2).sum(axis=1), 0.0)
        like = _kernel(within, self.seen, self.length, outside)
        own = (within**2).sum(axis=1) + outside if self.length == LINEAR else np.ones(len(within))
        inverse: Array = self.__dict__["_inverse"]
        variance = self.signal * np.maximum(own - ((like @ inverse) * like).sum(axis=1), 0.0)
        return self.ratings.mean() + like @ self.__dict__["_weights"], np.sqrt(variance)

    @property
    def noise(self) -> float:
        """Standard deviation of one rating about the taste."""
        return math.sqrt(self.signal * self.ratio)


def fit_taste(embeddings: Array, ratings: Sequence[float] | Array) -> TasteModel:
    """Learn from `embeddings`, (n, d), and their `ratings`, (n,).

    Raises:
        ScorerError: Fewer than three, all ratings or all images equal, or a number that is not finite.
    """
    y = np.asarray(ratings, dtype=np.float64)
    x = np.asarray(embeddings, dtype=np.float64)
    if len(y) < 3 or x.shape[0] != len(y) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ScorerError("A taste needs at least three ratings, each of an image that could be looked at.")
    if np.ptp(y) == 0:
        raise ScorerError("All ratings are equal, so there is nothing to learn from them; use more of the scale.")
    mean = x.mean(axis=0)
    _, sizes, directions = np.linalg.svd(x - mean, full_matrices=False)
    if sizes[0] <= 1e-9:
        raise ScorerError("All rated images look the same, so there is nothing to learn from them.")
    shares = np.cumsum(sizes**2) / (sizes**2).sum()
    kept = min(int(np.searchsorted(shares, _KEPT_VARIANCE)) + 1, _COMPONENTS)
    components = _signed(directions[:kept])
    scale = math.sqrt(float((sizes**2).sum()) / len(y))
    seen = (x - mean) @ components.T / scale
    best: tuple[float, float, float, float] | None = None
    middle = _median_distance(seen)
    for length in LENGTHS:
        found = _evidence(_kernel(seen, seen, length * middle), y - y.mean())
        if best is None or found[0] > best[0] + 1e-9:
            best = (*found, length * middle)
    assert best is not None
    _, signal, ratio, length = best
    return TasteModel(mean, components, scale, seen, y, length, signal, ratio)


def cross_validated(embeddings: Array, ratings: Sequence[float] | Array, groups: Sequence[Any] = ()) -> Array:
    """Return what each image would have been predicted, (n,), by a model that was fitted without its fold.

    Args:
        embeddings: As for `fit_taste`.
        ratings: As for `fit_taste`.
        groups: One per image: images of a group (a trial) stay together. None, or fewer than five groups: each
            image is one of its own.
    """
    y = np.asarray(ratings, dtype=np.float64)
    names = list(dict.fromkeys(groups))
    of = np.array([names.index(group) for group in groups]) if len(names) >= 5 else np.arange(len(y))
    folds = 10 if len(y) <= 200 else 5
    fold = of % min(folds, int(of.max()) + 1)
    predicted = np.empty(len(y))
    for i in range(int(fold.max()) + 1):
        out = fold == i
        try:
            predicted[out] = fit_taste(embeddings[~out], y[~out]).predict(np.asarray(embeddings)[out])[0]
        except ScorerError:  # nothing to learn from the others: their mean is all that can be said
            predicted[out] = y[~out].mean()
    return predicted


def _kernel(one: Array, other: Array, length: float, outside: Array | None = None) -> Array:
    products = one @ other.T
    if length == LINEAR:
        return np.asarray(products)
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * products
    if outside is not None:
        squares = squares + outside[:, None]
    return np.asarray(np.exp(-np.maximum(squares, 0.0) / (2 * length**2)))


def _evidence(kernel: Array, y: Array) -> tuple[float, float, float]:
    """Return the log marginal likelihood with the prior, a² and r, at the best r."""
    values, vectors = np.linalg.eigh(kernel)
    values, squares = np.maximum(values, 0.0), (vectors.T @ y) ** 2

    def at(log_ratio: float) -> tuple[float, float]:
        spread = values + math.exp(log_ratio)
        signal = float((squares / spread).mean())
        fit = -0.5 * (len(y) * math.log(signal) + float(np.log(spread).sum()))
        return fit - 0.5 * ((log_ratio - _PRIOR_MEAN) / _PRIOR_SD) ** 2, signal

    top = max(_RATIOS, key=lambda ratio: at(float(ratio))[0])
    ratio = _golden(lambda log_ratio: at(log_ratio)[0], float(top) - 0.25, float(top) + 0.25)
    value, signal = at(ratio)
    return value, signal, math.exp(ratio)


def _golden(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where `function` is highest in [low, high], to a hundredth of that."""
    step = (math.sqrt(5) - 1) / 2
    for _ in range(10):
        left, right = high - step * (high - low), low + step * (high - low)
        low, high = (low, right) if function(left) >= function(right) else (left, high)
    return (low + high) / 2


def _median_distance(seen: Array) -> float:
    squares = (seen**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * seen @ seen.T, 0.0))
    return max(float(np.median(distances[np.triu_indices(len(seen), 1)])), 1e-9)


def _signed(components: Array) -> Array:
    """A component's sign means nothing: have the largest entry positive, so that a file is the same everywhere."""
    largest = np.abs(components).argmax(axis=1)
    return np.asarray(components * np.sign(components[np.arange(len(components)), largest])[:, None])
