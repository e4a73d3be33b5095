"""The space as a cube: every parameter a coordinate from 0 to 1, whatever its kind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.space import Parameter

__all__ = ["Cube", "cells_of", "is_unordered"]


class Cube:
    """Maps points of the unit cube to values and back.

    A range is linear or logarithmic in its coordinate. A parameter with a countable number of values (steps, whole
    numbers, switches, choices) divides 0..1 into cells of one size, in the order of the values; a value's coordinate
    is the middle of its cell.

    Args:
        parameters: The dimensions, in the order of the coordinates.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._bounds = {parameter.name: parameter.bound for parameter in parameters}
        self.cells = tuple(cells_of(bound) for bound in self._bounds.values())

    def __len__(self) -> int:
        return len(self._bounds)

    def values(self, point: Sequence[float]) -> dict[str, Value]:
        """Return the values at `point`; coordinates outside 0..1 count as the nearer end."""
        clipped = (min(max(float(u), 0.0), 1.0) for u in point)
        return {name: _value(bound, u) for (name, bound), u in zip(self._bounds.items(), clipped, strict=True)}

    def point(self, values: Mapping[str, Value]) -> list[float]:
        """Return the coordinates of `values`, which must lie within the bounds."""
        return [_coordinate(bound, values[name]) for name, bound in self._bounds.items()]


def cells_of(bound: Bound) -> int | None:
    """Return how many values a parameter can take, or None for a continuous or logarithmic range."""
    if bound.kind == "bool":
        return 2
    if bound.kind == "choice":
        return len(bound.choices)
    low, high = _ends(bound)
    if bound.kind == "int" and not bound.log:
        return int((high - low) // (bound.step or 1)) + 1
    return None if bound.step is None else round((high - low) / bound.step) + 1


def is_unordered(bound: Bound) -> bool:
    """Tell whether a parameter's values have no order: a choice of three or more that are not all numbers."""
    numbers = all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in bound.choices)
    return bound.kind == "choice" and len(bound.choices) > 2 and not numbers


def _ends(bound: Bound) -> tuple[float, float]:
    if bound.low is None or bound.high is None:
        raise ValueError(f"{bound} is no range")
    return bound.low, bound.high


def _log_ends(bound: Bound) -> tuple[float, float]:
    # A whole number owns half a unit on either side, so that the ends are drawn as often as their neighbours.
    low, high = _ends(bound)
    half = 0.5 if bound.kind == "int" else 0.0
    return math.log(low - half), math.log(high + half)


def _value(bound: Bound, u: float) -> Value:
    cells = cells_of(bound)
    if cells is not None:
        i = min(int(u * cells), cells - 1)
        if bound.kind == "bool":
            return bool(i)
        if bound.kind == "choice":
            return bound.choices[i]
        low, high = _ends(bound)
        value = min(low + i * (bound.step or 1), high)
        return int(value) if bound.kind == "int" else value
    low, high = _ends(bound)
    if not bound.log:
        return low + u * (high - low)
    first, last = _log_ends(bound)
    value = math.exp(first + u * (last - first))
    value = round(value) if bound.kind == "int" else value
    return type(value)(min(max(value, low), high))


def _coordinate(bound: Bound, value: Value) -> float:
    cells = cells_of(bound)
    if cells is not None:
        if bound.kind == "bool":
            i = int(value)
        elif bound.kind == "choice":
            i = bound.choices.index(value)
        else:
            i = round((float(value) - _ends(bound)[0]) / (bound.step or 1))
        return (i + 0.5) / cells
    if not bound.log:
        low, high = _ends(bound)
        return (float(value) - low) / (high - low)
    first, last = _log_ends(bound)
    return (math.log(float(value)) - first) / (last - first)
