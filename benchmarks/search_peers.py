"""The samplers of the search benchmark: ours as the program runs it, and the peers, each as ask and tell.

A sampler may import packages of its own (`bayesian-optimization`, `gradient-free-optimizers`); the table leaves out
what was not run. Settings of a peer program are those that it ships: sd-optim's TPE; auto-MBW-rt's Bayesian optimiser,
whose starts are 4 of a grid, 4 vertices and 2 random points on a lattice of 11 values per dimension.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROWS", "AskTell", "Row"]

Array = NDArray[np.float64]


class AskTell(Protocol):
    """Proposes points in ``[0, 1]^D`` and learns their payloads' scores; every one here looks at the mean."""

    def ask(self) -> Array:
        """Return the next point, shape (D,)."""

    def tell(self, point: Array, scores: Array) -> None:
        """Learn the scores (P,) of the point asked for last."""


@dataclass(frozen=True)
class Row:
    """One sampler. `trials`: as many as it is given time for. `dims`: the most dimensions that it takes."""

    id: str
    build: Callable[[int, int], AskTell]
    trials: int = 120
    dims: int = 60
    runs: int = 20


class _Optuna:
    def __init__(self, sampler: Any, dims: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = {f"x{i:02d}": optuna.distributions.FloatDistribution(0, 1) for i in range(dims)}
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._trial: Any = None

    def ask(self) -> Array:
        self._trial = self._study.ask(self._space)
        return np.array([self._trial.params[name] for name in self._space])

    def tell(self, point: Array, scores: Array) -> None:
        self._study.tell(self._trial, float(scores.mean()))


class _Ours:
    """The search as a run uses it: the study is rebuilt for every suggestion; presets are off, as for all others."""

    def __init__(self, dims: int, seed: int, sampler: str) -> None:
        from lib_optim.plan.blocks import block_map
        from lib_optim.plan.bounds import Bound
        from lib_optim.plan.dimensions import Parameter, Space
        from lib_optim.plan.run_plan import SamplerSpec
        from lib_optim.search.study import Search

        bound = Bound("float", 0.0, 1.0)
        self._names = [f"x{i:02d}" for i in range(dims)]
        space = Space(tuple(Parameter(name, bound, "alpha", (name,)) for name in self._names), (), tuple(self._names))
        self._search = Search(space, block_map("sd1"), SamplerSpec(sampler, presets=()), seed)
        self._number = 0
        self._values: Any = None

    def ask(self) -> Array:
        self._values = self._search.suggest(self._number).values
        return np.array([float(self._values[name]) for name in self._names])

    def tell(self, point: Array, scores: Array) -> None:
        from lib_optim.plan.records import Trial

        trial = Trial(self._number, "complete", self._values, "", value=float(scores.mean()))
        self._search.add(trial)
        self._number += 1


class _BayesOpt:
    """`bayesian-optimization` with UCB as in bayesian-merger, 10 random points first.

    Its own `suggest` looks at 10000 points and climbs from ten, 3 seconds in 26 dimensions; here as in our sampler of
    this name 5000 and three, which may understate it.
    """

    def __init__(self, dims: int, seed: int) -> None:
        from bayes_opt import BayesianOptimization
        from bayes_opt.acquisition import UpperConfidenceBound

        self._names = [f"x{i:02d}" for i in range(dims)]
        self._optimizer = BayesianOptimization(
            None, dict.fromkeys(self._names, (0.0, 1.0)), UpperConfidenceBound(2.576), random_state=seed,
            verbose=0, allow_duplicate_points=True,
        )  # fmt: skip
        self._draws = np.random.default_rng(seed)
        self._told = 0

    def ask(self) -> Array:
        if self._told < 10:
            return self._draws.uniform(size=len(self._names))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            o = self._optimizer
            point = o.acquisition_function.suggest(o._gp, o.space, 5000, 3, random_state=o._random_state)
        return np.asarray(point, dtype=float)

    def tell(self, point: Array, scores: Array) -> None:
        self._told += 1
        self._optimizer.register(dict(zip(self._names, map(float, point), strict=True)), float(scores.mean()))


class _Gfo:
    """`gradient-free-optimizers` runs the loop itself: its search gets a thread, and two queues take turns."""

    def __init__(self, dims: int, seed: int, trials: int) -> None:
        import queue
        import threading

        self._points: Any = queue.Queue()
        self._scores: Any = queue.Queue()
        self._names = [f"x{i:02d}" for i in range(dims)]
        space = {name: np.round(np.linspace(0, 1, 11), 8) for name in self._names}
        threading.Thread(target=self._search, args=(space, seed, trials), daemon=True).start()

    def _search(self, space: Any, seed: int, trials: int) -> None:
        from gradient_free_optimizers import BayesianOptimizer

        warnings.simplefilter("ignore")
        try:
            optimizer = BayesianOptimizer(
                space, initialize={"grid": 4, "vertices": 4, "random": 2}, random_state=seed, xi=0.3,
                max_sample_size=10_000_000, sampling={"random": 1_000_000}, rand_rest_p=0.0,
            )  # fmt: skip
            optimizer.search(self._objective, n_iter=trials, verbosity=[], memory=False)
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks
            self._points.put(error)

    def _objective(self, values: Any) -> float:
        self._points.put(np.array([float(values[name]) for name in self._names]))
        return float(self._scores.get())

    def ask(self) -> Array:
        point = self._points.get(timeout=600)
        if isinstance(point, BaseException):
            raise point
        return np.asarray(point)

    def tell(self, point: Array, scores: Array) -> None:
        self._scores.put(float(scores.mean()))


def _tpe(**options: Any) -> Callable[[int, int], AskTell]:
    def build(dims: int, seed: int) -> AskTell:
        from optuna.samplers import TPESampler

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _Optuna(TPESampler(seed=seed, **options), dims)

    return build


def _cma(separable: bool) -> Callable[[int, int], AskTell]:
    def build(dims: int, seed: int) -> AskTell:
        from optuna.samplers import CmaEsSampler

        start = {f"x{i:02d}": 0.5 for i in range(dims)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = (
                CmaEsSampler(start, 0.25, seed=seed, use_separable_cma=True) if separable else CmaEsSampler(seed=seed)
            )
        return _Optuna(sampler, dims)

    return build


def _gp(dims: int, seed: int) -> AskTell:
    from optuna.samplers import GPSampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _Optuna(GPSampler(seed=seed), dims)


def _random(dims: int, seed: int) -> AskTell:
    from optuna.samplers import RandomSampler

    return _Optuna(RandomSampler(seed=seed), dims)


ROWS = {
    row.id: row
    for row in (
        Row("auto", lambda dims, seed: _Ours(dims, seed, "auto")),
        Row("optim", lambda dims, seed: _Ours(dims, seed, "optim")),
        Row("tpe5", _tpe()),
        Row("tpe-uni", _tpe(multivariate=False, constant_liar=False)),
        Row("tpe-sdoptim", _tpe(multivariate=True, group=True, constant_liar=True, n_ei_candidates=48)),
        Row("cma", _cma(separable=False)),
        Row("cma-sep", _cma(separable=True)),
        Row("random", _random),
        Row("gp", _gp, trials=60, runs=10),
        Row("bayes_opt", _BayesOpt, trials=60, runs=10),
        Row("gfo-bayes", lambda dims, seed: _Gfo(dims, seed, 60), trials=60, dims=26, runs=10),
    )
}
