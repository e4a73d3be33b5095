"""How far judges agree with a person, measured on images that the person sorted; and weights that agree best.

Everything here looks at *pairs*: two images that the person put on different piles. A judge orders such a pair right,
wrong, or not at all (equal scores, which count half). Its agreement is the share of pairs that it orders right: 0.5
is what a coin reaches, 1 is the person's own order. For two piles this is the area under the ROC curve, for more the
concordance index of Harrell et al. (1982). Raw scores need no common scale for it.

Weights come from a logistic regression on the differences of such pairs (Bradley and Terry, 1952), with weights of at
least 0, because a judge whose order must be turned round to fit has not understood the task, and a pull towards 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Agreement", "Suggestion", "agreement", "suggestion"]

FEWEST = 3
"""Images on each of two piles below which no weights are suggested."""
_PULL = 0.05  # strength of the pull towards 0 per pair; with columns of variance 1
_SURE = 1.645  # standard errors: one side of 5 %
_STEP = 0.05  # weights are rounded to it

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How one judge orders the pairs.

    Attributes:
        share: Of pairs ordered right, 0 to 1; equal scores count half.
        error: Its standard error over images (jackknife), 0 to 1; `nan` below two images a pile.
        pairs: How many pairs there are.
    """

    share: float
    error: float
    pairs: int

    @property
    def sure(self) -> bool:
        """Whether the judge is better than a coin, with an error of 5 % at most."""
        spread = max(self.error, 0.5 / math.sqrt(self.pairs)) if self.pairs else math.inf
        return math.isfinite(self.error) and self.share - _SURE * spread > 0.5


@dataclass(frozen=True)
class Suggestion:
    """Weights that agree best with the person.

    Attributes:
        weights: Judge to weight, those above 0 only; the largest is 1. Empty if no judge is better than a coin.
        share: Agreement of the weighted mean, each image compared with the others by weights that were fitted without
            it, 0 to 1; of one judge alone its own. `nan` if there are no weights.
        best: The single judge that agrees best.
        reason: Why there are no weights, or what to know of them; one sentence or empty.
    """

    weights: Mapping[str, float]
    share: float
    best: str
    reason: str


def agreement(grades: Sequence[float], scores: Sequence[float]) -> Agreement:
    """Return how far `scores`, higher meaning better, order images as `grades` do.

    Args:
        grades: One number per image, higher is better; only their order counts.
        scores: One finite number per image.
    """
    right = _right(np.asarray(grades, float), np.asarray(scores, float))
    pairs = ~np.isnan(right)
    count = int(pairs.sum()) // 2
    if not count:
        return Agreement(math.nan, math.nan, 0)
    share = float(np.nanmean(right))
    without = [_without(right, i) for i in range(len(right))]
    kept = np.array([value for value in without if not math.isnan(value)])
    n = len(kept)
    whole = n == len(right) and n > 2
    error = math.sqrt((n - 1) / n * float(((kept - kept.mean()) ** 2).sum())) if whole else math.nan
    return Agreement(share, error, count)


def suggestion(grades: Sequence[float], scores: Mapping[str, Sequence[float]]) -> Suggestion:
    """Return weights for the weighted mean of judges, each brought to the same spread over these images.

    Args:
        grades: One number per image, higher is better.
        scores: Judge to one finite number per image, higher meaning better.
    """
    order = np.asarray(grades, float)
    single = {name: agreement(grades, values) for name, values in scores.items()}
    known = {name: found for name, found in single.items() if found.pairs}
    if not known:
        return Suggestion({}, math.nan, "", "No two images are on different piles, so there is nothing to agree with.")
    best = max(known, key=lambda name: known[name].share)
    sizes = sorted(np.unique(order, return_counts=True)[1].tolist())
    if sizes[-2] < FEWEST:
        few = f"For weights there must be at least {FEWEST} images on each of two piles."
        return Suggestion({}, math.nan, best, few)
    good = [name for name, found in known.items() if found.share > 0.5]
    if not any(known[name].sure for name in good):
        sentence = "No judge orders your images better than a coin would, as far as so few images tell."
        return Suggestion({}, math.nan, best, sentence)
    columns = np.column_stack([_unit(np.asarray(scores[name], float)) for name in good])
    fitted = _fit(order, columns)
    share = float(np.mean([_seen_anew(order, columns, i) for i in range(len(order))]))
    alone = known[best].share
    if share <= alone or np.count_nonzero(fitted) == 1:
        sentence = "Together they order your images no better than the best one alone does." if len(good) > 1 else ""
        return Suggestion({best: 1.0}, alone, best, sentence)
    rounded = {name: round(w / fitted.max() / _STEP) * _STEP for name, w in zip(good, fitted, strict=True)}
    return Suggestion({name: round(w, 2) for name, w in rounded.items() if w > 0}, share, best, "")


def _right(grades: Array, scores: Array) -> Array:
    """Per ordered pair of images 1 where the order is right, .5 for equal scores, 0; nan where the grades are equal."""
    wanted = np.sign(grades[:, None] - grades[None, :])
    given = np.sign(scores[:, None] - scores[None, :])
    return np.where(wanted == 0, np.nan, 0.5 + 0.5 * wanted * given)


def _without(right: Array, image: int) -> float:
    left = np.delete(np.delete(right, image, 0), image, 1)
    return float(np.nanmean(left)) if (~np.isnan(left)).any() else math.nan


def _unit(column: Array) -> Array:
    spread = float(column.std())
    return (column - column.mean()) / spread if spread > 0 else np.zeros_like(column)


def _fit(grades: Array, columns: Array) -> Array:
    """Weights of at least 0 that make the logistic loss of all pairs smallest; shape (columns,)."""
    from scipy.optimize import minimize

    better, worse = np.nonzero(grades[:, None] > grades[None, :])
    differences = columns[better] - columns[worse]

    def loss(w: Array) -> tuple[float, Array]:
        margin = differences @ w
        wrong = 1 / (1 + np.exp(np.clip(margin, -500, 500)))
        value = float(np.logaddexp(0, -margin).mean() + _PULL * (w @ w))
        return value, -(differences * wrong[:, None]).mean(axis=0) + 2 * _PULL * w

    start = np.full(columns.shape[1], 1 / columns.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start))
    return np.where(found.x > 1e-4, found.x, 0.0)


def _seen_anew(grades: Array, columns: Array, image: int) -> float:
    """How many of the pairs with `image` are ordered right by weights that were fitted without it."""
    others = np.arange(len(grades)) != image
    right = _right(grades, columns @ _fit(grades[others], columns[others]))[image]
    return float(np.nanmean(right))
