"""How strong each merge is, from which of two a person liked better.

The model is Bradley and Terry's (1952): a beats b with probability 1 / (1 + exp(b - a)), a and b their strengths (log
odds). A tie counts as half a win for each. With a Gaussian prior of mean 0 and SD `PRIOR_SD` on each strength the
posterior has one maximum, finite also where somebody won every comparison or lost it, and where the comparisons fall
into parts that never met. That maximum is found by Newton's method; the inverse of the curvature there (Laplace's
approximation) tells how sure each strength is.

What is fitted depends on the comparisons only, not on their order: they are counted per pair first, and sums are taken
with `math.fsum`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PRIOR_SD", "Beat", "Strengths", "fitted", "value_of"]

PRIOR_SD = 2.0
"""In log odds: of two merges drawn at random, the better one is preferred in 83 % of comparisons, on average."""
_STEPS = 100
_CLOSE = 1e-12

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Beat:
    """One comparison of two: `winner` was liked better than `loser`, or (tie) neither was.

    Attributes:
        weight: How much it counts, above 0.
    """

    winner: int
    loser: int
    tie: bool = False
    weight: float = 1.0


@dataclass(frozen=True)
class Strengths:
    """What the comparisons say of everybody who took part; of others, the prior is all there is.

    Attributes:
        players: Who took part, ascending, N.
        means: Their strengths, shape (N,), in log odds; 0 is a merge that nothing is known of.
        covariance: How sure they are, shape (N, N).
    """

    players: tuple[int, ...]
    means: Array
    covariance: Array

    @cached_property
    def _place(self) -> Mapping[int, int]:
        return {player: i for i, player in enumerate(self.players)}

    def __contains__(self, player: int) -> bool:
        return player in self._place

    def mean(self, player: int) -> float:
        """Return the strength of `player`."""
        at = self._place.get(player)
        return 0.0 if at is None else float(self.means[at])

    def sd(self, player: int) -> float:
        """Return the SD of the strength of `player`."""
        at = self._place.get(player)
        return PRIOR_SD if at is None else math.sqrt(float(self.covariance[at, at]))

    def gap(self, one: int, other: int) -> tuple[float, float]:
        """Return the mean and the variance of the strength of `one` minus that of `other`."""
        i, j = self._place.get(one), self._place.get(other)
        shared = 0.0 if i is None or j is None else float(self.covariance[i, j])
        return self.mean(one) - self.mean(other), self.sd(one) ** 2 + self.sd(other) ** 2 - 2 * shared


def value_of(strength: float) -> float:
    """Return a strength as a number from 0 to 10: how many of ten comparisons with an average merge it would win."""
    return 10.0 / (1.0 + math.exp(-strength))


def fitted(beats: Iterable[Beat]) -> Strengths:
    """Return the strengths that `beats` are most likely to come from, given the prior."""
    pairs = _counted(beats)
    players = tuple(sorted({player for pair in pairs for player in pair}))
    if not players:
        return Strengths((), np.zeros(0), np.zeros((0, 0)))
    place = {player: i for i, player in enumerate(players)}
    one = np.array([place[a] for a, _ in pairs])
    other = np.array([place[b] for _, b in pairs])
    ahead, count = (np.array(column) for column in zip(*pairs.values(), strict=True))
    means = _highest(len(players), one, other, ahead, count)
    covariance = np.linalg.inv(_curvature(means, one, other, count))
    return Strengths(players, means, covariance)


def _counted(beats: Iterable[Beat]) -> dict[tuple[int, int], tuple[float, float]]:
    """Return, by pair (a < b), the wins of a minus those of b, and the number of comparisons."""
    found: dict[tuple[int, int], tuple[list[float], list[float]]] = {}
    for beat in beats:
        first = beat.winner < beat.loser
        pair = (beat.winner, beat.loser) if first else (beat.loser, beat.winner)
        ahead, count = found.setdefault(pair, ([], []))
        ahead.append(0.0 if beat.tie else beat.weight if first else -beat.weight)
        count.append(beat.weight)
    return {pair: (math.fsum(ahead), math.fsum(count)) for pair, (ahead, count) in sorted(found.items())}


def _highest(players: int, one: Any, other: Any, ahead: Array, count: Array) -> Array:
    means = np.zeros(players)
    height = _height(means, one, other, ahead, count)
    for _ in range(_STEPS):
        half = (means[one] - means[other]) / 2
        push = ahead / 2 - count * np.tanh(half) / 2
        slope = -means / PRIOR_SD**2
        np.add.at(slope, one, push)
        np.add.at(slope, other, -push)
        step = np.linalg.solve(_curvature(means, one, other, count), slope)
        if float(np.abs(step).max()) < _CLOSE:
            break
        size = 1.0  # full steps, but where one would lead downhill
        while (reached := _height(means + size * step, one, other, ahead, count)) < height and size > 1e-6:
            size /= 2
        means, height = means + size * step, reached
    return means


def _height(means: Array, one: Any, other: Any, ahead: Array, count: Array) -> float:
    """Return the log of the posterior density, up to a constant."""
    half = (means[one] - means[other]) / 2
    odds = ahead * half - count * np.logaddexp(half, -half)
    return math.fsum(odds) - math.fsum(means**2) / (2 * PRIOR_SD**2)


def _curvature(means: Array, one: Any, other: Any, count: Array) -> Array:
    half = (means[one] - means[other]) / 2
    weight = count / (2 * np.cosh(half)) ** 2
    matrix = np.eye(len(means)) / PRIOR_SD**2
    np.add.at(matrix, (one, one), weight)
    np.add.at(matrix, (other, other), weight)
    np.add.at(matrix, (one, other), -weight)
    np.add.at(matrix, (other, one), -weight)
    return matrix
