"""Parameters of a study as columns of numbers in ``[0, 1]``, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lib_optim.search.optim_kernel import Kernel

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Columns"]

Array = NDArray[np.float64]
_FEW = 10  # a whole number of up to this many values is searched value by value


class Columns:
    """One column per number, one per choice of a categorical parameter.

    Args:
        space: Name to distribution, in the order of depth unless `depths` says otherwise.
        depths: Name to kind and depth; what it lacks is taken as one kind in the order of `space`.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], depths: Mapping[str, Any]) -> None:
        from optuna.distributions import CategoricalDistribution

        self.space = dict(space)
        self._groups: dict[str, list[int]] = {}
        kinds: list[str] = []
        positions: list[float] = []
        frozen: list[bool] = []
        for place, (name, row) in enumerate(self.space.items()):
            choices = len(row.choices) if isinstance(row, CategoricalDistribution) else 1
            first = len(kinds)
            kind, depth = depths.get(name, ("", place / max(1, len(self.space) - 1)))
            for choice in range(choices):
                kinds.append(f"choice {name} {choice}" if choices > 1 else str(kind))
                positions.append(float(depth))
                frozen.append(choices > 1 or isinstance(row, CategoricalDistribution) or 0 < _levels(row) <= _FEW)
            self._groups[name] = list(range(first, first + choices))
        self.width = len(kinds)
        self.frozen = np.array(frozen)
        self.neighbours = Kernel.neighbours(np.array(kinds), np.array(positions))

    def encode(self, values: Mapping[str, Any]) -> Array:
        """Return the point (D,) of `values`, which must have every name."""
        from optuna.distributions import CategoricalDistribution

        point = np.zeros(self.width)
        for name, row in self.space.items():
            columns = self._groups[name]
            if isinstance(row, CategoricalDistribution):
                point[columns[row.choices.index(values[name])]] = 1.0
            else:
                point[columns[0]] = _to_unit(row, float(values[name]))
        return point.clip(0, 1)

    def decode(self, point: Array) -> dict[str, Any]:
        """Return the values nearest to `point` (D,) that the parameters can have."""
        from optuna.distributions import CategoricalDistribution

        values: dict[str, Any] = {}
        for name, row in self.space.items():
            columns = self._groups[name]
            if isinstance(row, CategoricalDistribution):
                values[name] = row.choices[int(np.argmax(point[columns]))]
            else:
                values[name] = _from_unit(row, float(point[columns[0]]))
        return values

    def snap(self, point: Array) -> Array:
        """Return the point (D,) of the values nearest to `point`."""
        return self.encode(self.decode(point))


def _levels(row: Any) -> int:
    """Return how many values `row` can have; 0 if there is no step."""
    return 0 if row.step is None or row.log else round((row.high - row.low) / row.step) + 1


def _ends(row: Any) -> tuple[float, float]:
    return (math.log(row.low), math.log(row.high)) if row.log else (float(row.low), float(row.high))


def _to_unit(row: Any, value: float) -> float:
    low, high = _ends(row)
    return 0.5 if high <= low else ((math.log(value) if row.log else value) - low) / (high - low)


def _from_unit(row: Any, unit: float) -> float | int:
    from optuna.distributions import IntDistribution

    low, high = _ends(row)
    value = low + min(max(unit, 0.0), 1.0) * (high - low)
    value = math.exp(value) if row.log else value
    if row.step is not None:
        value = row.low + round((value - row.low) / row.step) * row.step
    value = min(max(value, row.low), row.high)
    return int(value) if isinstance(row, IntDistribution) else float(value)
