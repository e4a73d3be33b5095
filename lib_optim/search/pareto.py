"""Points that no other one beats on every axis, how to spread a few over them, and which one given weights choose.

Greater is better on every axis. Dominance as usual: at least as good everywhere, better somewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = ["chosen_by", "dominates", "front", "spread"]

Points = Mapping[int, Sequence[float]]
_RHO = 0.05


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether `a` is at least as good as `b` on every axis, and better on one."""
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))


def front(points: Points) -> list[int]:
    """Return the numbers of the points that no other one dominates, ascending; equal points stand together.

    Whatever dominates a point is greater in the order of tuples, so each point is compared with the front so far only.
    """
    found: list[int] = []
    for number in sorted(points, key=lambda number: tuple(points[number]), reverse=True):
        if not any(dominates(points[other], points[number]) for other in found):
            found.append(number)
    return sorted(found)


def scaled(points: Points) -> dict[int, tuple[float, ...]]:
    """Return the points with every axis from 0 (the worst of them) to 1 (the best); 1 where all are alike."""
    if not points:
        return {}
    lows, highs = ([pick(axis) for axis in zip(*points.values(), strict=True)] for pick in (min, max))

    def unit(value: float, low: float, high: float) -> float:
        # Halved first: the difference of two finite numbers may overflow.
        return (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 1.0

    return {number: tuple(map(unit, point, lows, highs)) for number, point in points.items()}


def spread(points: Points, first: Sequence[int]) -> list[int]:
    """Return all points, those of `first` in front, then always the one farthest from its nearest neighbour so far.

    Distances are Euclidean on axes scaled by `scaled`; of equals the lower number. So however few are taken, they are
    spread over what there is.
    """
    order = list(dict.fromkeys(number for number in first if number in points))
    units = scaled(points)
    left = sorted(set(points) - set(order))
    nearest = {n: min((math.dist(units[n], units[o]) for o in order), default=math.inf) for n in left}
    while left:
        taken = max(left, key=lambda number: (nearest[number], -number))
        order.append(taken)
        left.remove(taken)
        for number in left:
            nearest[number] = min(nearest[number], math.dist(units[number], units[taken]))
    return order


def chosen_by(points: Points, weights: Sequence[float]) -> int | None:
    """Return the point of the front that somebody with these weights wants; None if there is none.

    The least augmented Chebyshev distance to the best value of every axis (Steuer and Choo 1983), on axes scaled over
    the front: unlike a weighted sum it can reach every point of a front, hollow ones included. An axis of weight 0 only
    breaks ties. Of equals the lower number.

    Args:
        points: Any points, by number.
        weights: One per axis, none below 0; only their ratios matter, and all 0 is as all alike.
    """
    best = front(points)
    units = scaled({number: points[number] for number in best})
    total = sum(weights)
    parts = [weight / total for weight in weights] if total > 0 else [1 / max(len(weights), 1)] * len(weights)

    def cost(number: int) -> tuple[float, int]:
        losses = [1 - unit for unit in units[number]]
        weighted = [part * loss for part, loss in zip(parts, losses, strict=True)]
        return round(max(weighted) + _RHO * sum(weighted) + 1e-6 * sum(losses), 12), number

    return min(best, key=cost, default=None)
