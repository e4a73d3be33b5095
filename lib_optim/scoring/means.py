"""Weighted means that never fall when one of their numbers rises, whatever the numbers are.

The geometric, harmonic and quadratic mean are made for positive numbers, and scores are not: a judge may give less
than its typical bad. Dropping such scores would let a bad picture raise the mean. So these three are generalised means
(Kolmogorov 1930, Nagumo 1930): with u the number on a scale where 0 is bad and 1 is good,

    mean = g⁻¹( M_p( g(u₁), …, g(uₙ) ) )      M_p the power mean: p → 0 geometric, p = −1 harmonic, p = 2 quadratic
    g(u) = u  for u ≥ ε,    ε · exp((u − ε) / ε)  below,    ε = .05

g is positive, strictly increasing and smooth once: from .05 up these are the means of the textbook, to the digit, and
below a number goes on to count as worse and worse. Everything is done with log g, which neither over- nor underflows.

The median is the weighted one: the number at which half of the weight is reached, or the middle of the two between
which it is. `min` knows no weights but 0. Sums are taken with `math.fsum`: the order of the numbers does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lib_optim.plan.combining import Mean

__all__ = ["mean_of"]

_FLOOR = 0.05
_POWERS = {"geometric": 0.0, "harmonic": -1.0, "quadratic": 2.0}


def mean_of(
    kind: Mean, values: Sequence[float], weights: Sequence[float], bad: float = 0.0, good: float = 1.0
) -> float:
    """Return a weighted mean of `values`; equal ones give exactly their value.

    Args:
        kind: Which one.
        values: At least one, finite.
        weights: One per value, above 0.
        bad: The value that the geometric, harmonic and quadratic mean take for 0.
        good: The value that they take for 1; not `bad`.
    """
    if len(set(values)) == 1:
        return values[0]
    if kind == "min":
        return min(values)
    if kind == "median":
        return _median(values, weights)
    if kind == "arithmetic":
        return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / math.fsum(weights)
    logs = [_log_g((value - bad) / (good - bad)) for value in values]
    return bad + (good - bad) * _inverse(_power_mean(_POWERS[kind], logs, weights))


def _median(values: Sequence[float], weights: Sequence[float]) -> float:
    order = sorted(range(len(values)), key=values.__getitem__)
    half = math.fsum(weights) / 2
    reached, lower = [], math.nan
    for i in order:
        reached.append(weights[i])
        below = math.fsum(reached)
        if math.isnan(lower) and below >= half:
            lower = values[i]
        if below > half:
            return (lower + values[i]) / 2
    return values[order[-1]]


def _log_g(u: float) -> float:
    return math.log(u) if u >= _FLOOR else math.log(_FLOOR) + (u - _FLOOR) / _FLOOR


def _inverse(log_g: float) -> float:
    lowest = math.log(_FLOOR)
    return math.exp(log_g) if log_g >= lowest else _FLOOR + _FLOOR * (log_g - lowest)


def _power_mean(p: float, logs: Sequence[float], weights: Sequence[float]) -> float:
    """Return the logarithm of the power mean of numbers given by their logarithms; p = 0 is the geometric mean."""
    total = math.fsum(weights)
    if p == 0:
        return math.fsum(log * w for log, w in zip(logs, weights, strict=True)) / total
    top = max(p * log for log in logs)
    shares = (w * math.exp(p * log - top) for log, w in zip(logs, weights, strict=True))
    return (top + math.log(math.fsum(shares) / total)) / p
