"""Samplers that ask no score: quasi-random sequences and the grid, by index, on Optuna's interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.plan.bounds import Value
from lib_optim.search.cube import Cube
from lib_optim.search.record import Record
from lib_optim.search.recorded_sampler import RecordedSampler
from lib_optim.search.sequences import grid_point, low_discrepancy

__all__ = ["GridSampler", "QmcSampler"]


class QmcSampler(RecordedSampler):
    """Sobol or Halton, continued by the number of proposals before: a resumed run goes on with the next point.

    Optuna's own sampler counts in the storage, which is rebuilt here, and leaves choices to chance.
    """

    def __init__(self, seed: int, options: Mapping[str, Any]) -> None:
        super().__init__(seed)
        self._options = options

    def propose(self, record: Record) -> dict[str, Value]:
        """Return the next point of the sequence."""
        cube = Cube(record.parameters)
        kind, scramble = self._options["sequence"], self._options["scramble"]
        return cube.values(low_discrepancy(kind, len(cube), record.index, record.seed, scramble))


class GridSampler(RecordedSampler):
    """All combinations of some values per parameter, in a scattered order."""

    def __init__(self, seed: int, options: Mapping[str, Any]) -> None:
        super().__init__(seed)
        self._levels = options["levels"]

    def propose(self, record: Record) -> dict[str, Value]:
        """Return the next point of the grid."""
        point = grid_point(record.parameters, self._levels, record.index, record.seed)
        return Cube(record.parameters).values(point)
