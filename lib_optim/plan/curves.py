"""Curves through a few control points, in plain Python, and the other way round: the points of a given curve.

Positions run from 0 (the first block of a curve) to 1 (its last); `places` says where the points lie.

- ``linear``: straight lines from point to point.
- ``smooth``: monotone cubic pieces; between two points it never leaves what lies between their values. Slopes after
  F. N. Fritsch and J. Butland, A method for constructing local monotone piecewise cubic interpolants, SIAM J. Sci.
  Stat. Comput. 5 (1984); the ends as in SciPy's ``PchipInterpolator``.
- ``polynomial``: the one polynomial of degree points − 1 through all points, which lie at Chebyshev's places (dense at
  the ends), so that it swings little; it may leave the range of its points, and is cut there by whoever uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

__all__ = ["CurveShape", "curve_through", "fitted", "places"]

CurveShape = Literal["smooth", "linear", "polynomial"]

_STEPS = 20
_SMALL = 1e-12


def places(shape: CurveShape, points: int) -> tuple[float, ...]:
    """Return the positions of `points` control points, at least 2, from 0 to 1."""
    even = [i / (points - 1) for i in range(points)]
    return tuple((1 - math.cos(math.pi * x)) / 2 for x in even) if shape == "polynomial" else tuple(even)


def curve_through(shape: CurveShape, values: Sequence[float]) -> Callable[[float], float]:
    """Return the curve through `values`, at least 2 of them, as a function of the position from 0 to 1."""
    xs = places(shape, len(values))
    if shape == "polynomial":
        return _polynomial(xs, values)
    slopes = _slopes(xs, values) if shape == "smooth" else None

    def curve(x: float) -> float:
        i = min(max(sum(place <= x for place in xs) - 1, 0), len(xs) - 2)
        width = xs[i + 1] - xs[i]
        t = min(max((x - xs[i]) / width, 0.0), 1.0)
        left, right = values[i], values[i + 1]
        if slopes is None or t in (0.0, 1.0):
            return left * (1 - t) + right * t
        bend = t * (1 - t) * width * (slopes[i] * (1 - t) - slopes[i + 1] * t)
        return left + (right - left) * t * t * (3 - 2 * t) + bend

    return curve


def _polynomial(xs: Sequence[float], values: Sequence[float]) -> Callable[[float], float]:
    # Barycentric form: exact at the points, and stable.
    last = len(xs) - 1
    weights = [(-1) ** i * (0.5 if i in (0, last) else 1.0) for i in range(len(xs))]

    def curve(x: float) -> float:
        for place, value in zip(xs, values, strict=True):
            if abs(x - place) < _SMALL:
                return value
        parts = [weight / (x - place) for weight, place in zip(weights, xs, strict=True)]
        return sum(part * value for part, value in zip(parts, values, strict=True)) / sum(parts)

    return curve


def _slopes(xs: Sequence[float], values: Sequence[float]) -> list[float]:
    widths = [b - a for a, b in pairwise(xs)]
    rises = [(b - a) / h for (a, b), h in zip(pairwise(values), widths, strict=True)]
    if len(rises) == 1:
        return [rises[0], rises[0]]
    inner = [_between(*pair, *rise) for pair, rise in zip(pairwise(widths), pairwise(rises), strict=True)]
    ends = _at_end(widths[0], widths[1], rises[0], rises[1]), _at_end(widths[-1], widths[-2], rises[-1], rises[-2])
    return [ends[0], *inner, ends[1]]


def _between(h1: float, h2: float, d1: float, d2: float) -> float:
    """Slope at an inner point: a weighted harmonic mean, 0 at a peak or a valley."""
    if d1 * d2 <= 0:
        return 0.0
    w1, w2 = 2 * h2 + h1, h2 + 2 * h1
    return (w1 + w2) / (w1 / d1 + w2 / d2)


def _at_end(h1: float, h2: float, d1: float, d2: float) -> float:
    """Slope at an end: of the parabola through three points, held back so that the piece stays monotone."""
    slope = ((2 * h1 + h2) * d1 - h1 * d2) / (h1 + h2)
    if slope * d1 <= 0:
        return 0.0
    return 3 * d1 if d1 * d2 <= 0 and abs(slope) > 3 * abs(d1) else slope


def fitted(
    shape: CurveShape, wanted: Sequence[tuple[float, float]], ranges: Sequence[tuple[float, float]]
) -> list[float]:
    """Return the values of control points whose curve comes closest to what is wanted, in least squares.

    Args:
        shape: Of the curve.
        wanted: Position and value, at least one; positions from 0 to 1.
        ranges: Lowest and highest value of every control point, at least 2; equal for one that is fixed.
    """
    target = curve_near(wanted)
    points = [_clamp(target(x), *ends) for x, ends in zip(places(shape, len(ranges)), ranges, strict=True)]
    error = _error(shape, points, wanted)
    for _ in range(_STEPS):
        better = _step(shape, points, wanted, ranges, error)
        if better is None:
            break
        points, error = better
    return points


def curve_near(wanted: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    """Return straight lines through positions and values in any order; several values at one position: their mean."""
    at: dict[float, list[float]] = {}
    for x, value in wanted:
        at.setdefault(x, []).append(value)
    row = sorted((x, sum(values) / len(values)) for x, values in at.items())

    def line(x: float) -> float:
        if x <= row[0][0]:
            return row[0][1]
        for (left, low), (right, high) in pairwise(row):
            if x <= right:
                return low + (high - low) * (x - left) / (right - left)
        return row[-1][1]

    return line


def _error(shape: CurveShape, points: Sequence[float], wanted: Sequence[tuple[float, float]]) -> float:
    curve = curve_through(shape, points)
    return sum((curve(x) - value) ** 2 for x, value in wanted)


def _step(
    shape: CurveShape,
    points: list[float],
    wanted: Sequence[tuple[float, float]],
    ranges: Sequence[tuple[float, float]],
    error: float,
) -> tuple[list[float], float] | None:
    """Move one point after the other to the bottom of its parabola (exact where the curve is linear in its points)."""
    now, best = list(points), error
    for i, (low, high) in enumerate(ranges):
        width = (high - low) / 64
        if width == 0:
            continue

        def at(value: float, i: int = i) -> float:
            return _error(shape, [*now[:i], value, *now[i + 1 :]], wanted)

        left, middle, right = at(now[i] - width), best, at(now[i] + width)
        bend = left - 2 * middle + right
        if bend <= _SMALL:
            continue
        value = _clamp(now[i] + width * (left - right) / (2 * bend), low, high)
        found = at(value)
        if found < best:
            now[i], best = value, found
    return (now, best) if best < error - _SMALL else None


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
