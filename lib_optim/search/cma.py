"""CMA-ES, rebuilt from the record for every suggestion (Hansen 2016, arXiv:1604.00772; the cmaes package).

Optuna's own CMA-ES keeps its optimiser pickled in the storage. Here the search distribution is a function of the
scored proposals: they are told again, generation by generation, in the order of their numbers, and the suggestion's
seed draws from the result. A failed trial is told nothing; its generation waits for another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import cmaes
import numpy as np
import numpy.typing as npt

from lib_optim.plan.bounds import Value
from lib_optim.plan.records import Trial
from lib_optim.search.cube import Cube
from lib_optim.search.record import ATTEMPTS, Record, derived_seed, score_of
from lib_optim.search.recorded_sampler import RecordedSampler

__all__ = ["CmaSampler"]

_Point = npt.NDArray[np.float64]
_FEWEST_FOR_WARM_START = 3
_TOP_SHARE = 0.1  # gamma of Nomura et al. 2021 (arXiv:2012.06932), and at least two points
_SEEDS = 2**31 - 1


class CmaSampler(RecordedSampler):
    """One CMA-ES over the unit cube (`Cube`); parameters in steps take the middle of their cells."""

    def __init__(self, seed: int, options: Mapping[str, Any]) -> None:
        super().__init__(seed)
        self._options = options

    def propose(self, record: Record) -> dict[str, Value]:
        """Return a draw from the distribution that the scored proposals lead to."""
        cube = Cube(record.parameters)
        mean, sigma, covariance = self._start(record, cube)
        search = _Restarts(self._options, cube, mean, sigma, covariance, record.seed)
        for trial in record.own():
            raw = search.raw(cube, trial, record.seed)
            value = score_of(trial)
            if value is not None:
                search.tell(raw, -value)
        return cube.values(search.ask(self.seed)[0].tolist())

    def _start(self, record: Record, cube: Cube) -> tuple[_Point, float, _Point | None]:
        """Return mean, step size and covariance to begin with, from what others proposed before."""
        begin, sigma = self._options["begin"], float(self._options["sigma"])
        own = {trial.number for trial in record.own()}
        first = min(own, default=record.number)
        known = [
            (np.array(cube.point(trial.values)), -value)
            for trial, value in record.scored()
            if trial.number < first and trial.number not in own
        ]
        if begin == "warm start" and record.earlier:
            known = [(np.array(cube.point(values)), -score) for values, score in record.earlier]
        middle = np.full(len(cube), 0.5)
        if begin == "middle" or not known:
            return middle, sigma, None
        if begin == "warm start" and len(known) >= _FEWEST_FOR_WARM_START:
            share = min(1.0, max(_TOP_SHARE, 2.001 / len(known)))
            mean, spread, covariance = cmaes.get_warm_start_mgd(known, gamma=share)
            return np.clip(mean, 0.0, 1.0), max(spread, 1e-6), covariance
        best = min(known, key=lambda pair: pair[1])[0]
        # Half a step away from the walls: in a corner, hardly a draw would lie inside.
        return np.clip(best, min(sigma / 2, 0.5), max(1 - sigma / 2, 0.5)), sigma, None


class _Restarts:
    """CMA-ES with restarts: IPOP (Auger and Hansen 2005) and BIPOP (Hansen 2009)."""

    def __init__(
        self, options: Mapping[str, Any], cube: Cube, mean: _Point, sigma: float, covariance: _Point | None, seed: int
    ) -> None:
        self._options, self._cells = options, cube.cells
        self._sigma0 = sigma
        self._drawn = np.random.RandomState(seed % _SEEDS)
        self._batch: list[tuple[_Point, float]] = []
        self._cma = self._new(mean, sigma, covariance, options["population"] or None)
        self._first = self._largest = self._cma.population_size
        self._spent = {"small": 0, "large": 0}
        self._regime = "large"

    def raw(self, cube: Cube, trial: Trial, seed: int) -> _Point:
        """Return what to tell for `trial`: with margin, the draw before it was rounded to a cell."""
        point = np.array(cube.point(trial.values))
        if self._options["variant"] != "margin":
            return point
        for attempt in range(ATTEMPTS):
            asked, before = self.ask(derived_seed(seed, trial.number, attempt))
            if cube.values(asked.tolist()) == dict(trial.values):
                return before
        return point  # a score was changed afterwards

    def ask(self, seed: int) -> tuple[_Point, _Point]:
        """Return a draw as it is tried, and as it is told."""
        self._cma.reseed_rng(seed)
        drawn = self._cma.ask()
        return drawn if isinstance(self._cma, cmaes.CMAwM) else (drawn, drawn)

    def tell(self, point: _Point, loss: float) -> None:
        """Take one result; every full generation moves the distribution."""
        self._batch.append((point, loss))
        if len(self._batch) < self._cma.population_size:
            return
        self._cma.tell(self._batch)
        self._spent[self._regime] += len(self._batch)
        self._batch = []
        if self._options["restarts"] != "none" and self._cma.should_stop():
            self._restart()

    def _restart(self) -> None:
        mean, sigma = self._drawn.uniform(size=len(self._cells)), self._sigma0
        small = self._options["restarts"] == "BIPOP" and self._spent["small"] < self._spent["large"]
        self._regime = "small" if small else "large"
        if small:
            share = 0.5 * self._largest / self._first
            population = max(4, math.floor(self._first * share ** (self._drawn.uniform() ** 2)))
            sigma *= 10 ** (-2 * self._drawn.uniform())
        else:
            self._largest *= self._options["growth"]
            population = self._largest
        self._cma = self._new(mean, sigma, None, population)

    def _new(self, mean: _Point, sigma: float, covariance: _Point | None, population: int | None) -> Any:
        size, variant = len(mean), self._options["variant"]
        common = {"population_size": population, "n_max_resampling": 10 * size, "seed": 0}
        if variant == "margin":
            walls = _walls(self._cells)
            mean = np.clip(mean, walls[:, 0], walls[:, 1])
            return cmaes.CMAwM(mean, sigma, walls, steps=_steps(self._cells), cov=covariance, **common)
        if variant == "separable" and size > 1:
            return cmaes.SepCMA(mean, sigma, bounds=_walls((None,) * size), **common)
        adapt = variant == "adaptive"
        return cmaes.CMA(mean, sigma, bounds=_walls((None,) * size), cov=covariance, lr_adapt=adapt, **common)


def _walls(cells: Sequence[int | None]) -> _Point:
    """Return the least and greatest coordinate per dimension, shape (dimensions, 2): of steps, the outer cells."""
    return np.array([(0.0, 1.0) if not _has_steps(count) else (0.5 / count, 1 - 0.5 / count) for count in cells])


def _steps(cells: Sequence[int | None]) -> _Point:
    return np.array([1 / count if _has_steps(count) else 0.0 for count in cells])


def _has_steps(count: int | None) -> TypeGuard[int]:
    return count is not None and count > 1
