"""Parameters of a study as columns of numbers in ``[0, 1]``, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
        self.space: dict[str, Any] = dict(space)
        self._groups: dict[str, list[int]] = {}
        kinds: list[str] = []
        positions: list[float] = []
        frozen: list[bool] = []
        for place, (name, row) in enumerate(self.space.items()):
            choices = len(row.choices) if isinstance(row, _categorical()) else 1
            first = len(kinds)
            kind, depth = depths.get(name, ("", place / max(1, len(self.space) - 1)))
            for choice in range(choices):
                kinds.append(f"choice {name} {choice}" if choices > 1 else str(kind))
                positions.append(float(depth))
                frozen.append(isinstance(row, _categorical()) or 0 < _levels(row) <= _FEW)
            self._groups[name] = list(range(first, first + choices))
        self.width = len(kinds)
        self.frozen = np.array(frozen)
        self.neighbours = Kernel.neighbours(np.array(kinds), np.array(positions))

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> Array:
        """Return the points (n, D) of n `rows` of values, each of which must have every name."""
        points = np.zeros((len(rows), self.width))
        for name, row in self.space.items():
            columns, values = self._groups[name], [given[name] for given in rows]
            if isinstance(row, _categorical()):
                chosen = [columns[row.choices.index(value)] for value in values]
                points[np.arange(len(rows)), chosen] = 1.0
            else:
                points[:, columns[0]] = _to_unit(row, np.array(values, dtype=float))
        return points.clip(0, 1)

    def decode(self, point: Array) -> dict[str, Any]:
        """Return the values nearest to `point` (D,) that the parameters can have."""
        from optuna.distributions import IntDistribution

        values: dict[str, Any] = {}
        for name, row in self.space.items():
            columns = self._groups[name]
            if isinstance(row, _categorical()):
                values[name] = row.choices[int(np.argmax(point[columns]))]
            else:
                value = float(_from_unit(row, point[columns[0]]))
                values[name] = round(value) if isinstance(row, IntDistribution) else value
        return values

    def snap(self, points: Array) -> Array:
        """Return the points (n, D) of the values nearest to `points` (n, D)."""
        snapped = points.copy()
        for name, row in self.space.items():
            columns = self._groups[name]
            if isinstance(row, _categorical()):
                snapped[:, columns] = np.eye(len(columns))[np.argmax(points[:, columns], axis=1)]
            else:
                snapped[:, columns[0]] = _to_unit(row, _from_unit(row, points[:, columns[0]]))
        return snapped.clip(0, 1)


def _categorical() -> Any:
    from optuna.distributions import CategoricalDistribution

    return CategoricalDistribution


def _levels(row: Any) -> int:
    """Return how many values `row` can have; 0 if there is no step."""
    return 0 if row.step is None or row.log else round((row.high - row.low) / row.step) + 1


def _ends(row: Any) -> tuple[float, float]:
    return (math.log(row.low), math.log(row.high)) if row.log else (float(row.low), float(row.high))


def _to_unit(row: Any, values: Array) -> Array:
    low, high = _ends(row)
    if high <= low:
        return np.full_like(values, 0.5)
    return np.asarray(((np.log(values) if row.log else values) - low) / (high - low))


def _from_unit(row: Any, units: Array) -> Array:
    low, high = _ends(row)
    values = low + np.clip(units, 0.0, 1.0) * (high - low)
    values = np.exp(values) if row.log else values
    if row.step is not None:
        values = row.low + np.round((values - row.low) / row.step) * row.step
    return np.asarray(np.clip(values, row.low, row.high))
