"""Our own sampler: draws a landscape that the observations allow, and tries its best point.

A Gaussian process whose kernel knows what merges tend to be like (optim_kernel) is fitted to the finished trials; each
suggestion is the best point of one function drawn from it (Thompson sampling), with boldness 1, .5 and .25 in turn:
the bold draws look for other basins, the timid ones refine the best known, and all grow calmer with time. The first
trials are a fixed space-filling set.

Nothing is kept between suggestions but a cache: the hyperparameters after n trials depend on the first n trials and
nothing else (every third trial a few steps from the last ones, `_fitted`), so a study that was rebuilt elsewhere gives
the same suggestions.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from lib_optim.search.depths import DEPTHS
from lib_optim.search.optim_columns import Columns
from lib_optim.search.optim_model import Axes, Model, fit
from lib_optim.search.optim_several import Goal, overall

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["OptimSampler"]

Array = NDArray[np.float64]
_BOLDNESS = (1.0, 0.5, 0.25)
_CALMER = 25  # from this many finished trials on, the boldness falls as 1 / trials
_FIT_EVERY = 3
_SHAKE = 0.1
_MOST = 400
_FIRST_STEPS, _NEXT_STEPS = 60, 12
_CANDIDATES = 200  # of each of four kinds
_STARTS, _CLIMB = 8, 30
_cache: OrderedDict[bytes, Array] = OrderedDict()
_guard = threading.Lock()


class OptimSampler(BaseSampler):
    """See the module. One objective or several (`optim_several`); failed trials teach nothing.

    Args:
        seed: For this sampler's draws. A new one for every suggestion, as the search does, is as good as one for all.
        n_startup_trials: Finished trials before the model.
        exploration: Factor on the boldness of the draws; 0 always tries the model's best point.
        smooth: Expect neighbouring blocks to want similar values.
    """

    def __init__(self, seed: int, n_startup_trials: int = 10, exploration: float = 1.0, smooth: bool = True) -> None:
        self._rng = np.random.default_rng(seed)
        self._startup = max(1, n_startup_trials)
        self._exploration = exploration
        self._smooth = smooth

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the space of the last trial, in its order."""
        for known in reversed(study.get_trials(deepcopy=False)):
            if known.number != trial.number and known.distributions:
                return dict(known.distributions)
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose a point of the whole space."""
        if not search_space:
            return {}
        columns = Columns(search_space, study.user_attrs.get(DEPTHS, {}))
        done = [t for t in study.get_trials(deepcopy=False) if t.state is TrialState.COMPLETE and t.distributions]
        done = [t for t in done if t.distributions.keys() == search_space.keys()]
        if len(done) < self._startup:
            return columns.decode(self._shaken(_spread(columns.width, trial.number)))
        points = columns.encode([t.params for t in done])
        scores = np.ascontiguousarray(np.array([t.values for t in done], dtype=float).T)  # (axes, n)
        scores[[direction is StudyDirection.MINIMIZE for direction in study.directions]] *= -1
        boldness = self._exploration * _BOLDNESS[len(done) % len(_BOLDNESS)] * min(1.0, _CALMER / len(done))
        return columns.decode(self._propose(columns, points, scores, boldness))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return about the middle for the very first trial, else a draw: for what no earlier trial had."""
        columns = Columns({param_name: param_distribution}, {})
        first = not any(t.distributions for t in study.get_trials(deepcopy=False) if t.number != trial.number)
        middle = np.full(columns.width, 0.5)
        point = self._shaken(middle) if first else self._rng.uniform(size=columns.width)
        return columns.decode(point)[param_name]

    def _shaken(self, point: Array) -> Array:
        """Return `point` moved a little, so that another seed makes another run from its first trial on."""
        return np.asarray((point + self._rng.uniform(-_SHAKE, _SHAKE, len(point))).clip(0, 1))

    def _propose(self, columns: Columns, points: Array, scores: Array, boldness: float) -> Array:
        axes = Axes(columns.neighbours, self._smooth)
        thetas = [_fitted(points, axis, axes, self._startup) for axis in scores]
        tried = {point.round(9).tobytes() for point in points}
        kept = _kept(overall(scores))
        points, scores = points[kept], scores[:, kept]
        models = [Model(points, axis, axes, theta) for axis, theta in zip(scores, thetas, strict=True)]
        goal = Goal(np.stack([model.mean(points) for model in models]), self._rng)
        candidates = _candidates(points, goal.expected, self._rng)
        candidates = columns.snap(candidates) if columns.frozen.any() else candidates
        drawn = goal.of([model.draw(self._rng, boldness) for model in models])
        order = np.argsort(-drawn(candidates)[0])
        starts = np.concatenate([candidates[order[: _STARTS - 1]], points[[int(np.argmax(goal.expected))]]])
        found, values = _climb(drawn, starts, columns.frozen)
        others = self._rng.uniform(size=(50, columns.width))
        ranked = columns.snap(np.concatenate([found[np.argsort(-values)], candidates[order], others]))
        # The same merge makes the same images: a point is tried again only where nothing else is left.
        return next((point for point in ranked if point.round(9).tobytes() not in tried), ranked[0])


def _spread(width: int, number: int) -> Array:
    """Return start point `number`: the middle, then a fixed scrambled Sobol sequence."""
    from scipy.stats import qmc

    if number == 0:
        return np.full(width, 0.5)
    return np.asarray(qmc.Sobol(width, seed=number // 64).random(64)[number % 64])


def _fitted(points: Array, scores: Array, axes: Axes, startup: int) -> Array:
    """Return the hyperparameters for this history, from the cache as far as it goes."""
    count = len(points)
    stages = _stages(startup, count)
    keys = [_digest(points[:stage], scores[:stage], axes, startup) for stage in stages]
    with _guard:
        known = next((i for i in reversed(range(len(stages))) if keys[i] in _cache), None)
        theta = None if known is None else _cache[keys[known]]
    for i in range(0 if known is None else known + 1, len(stages)):
        steps = _NEXT_STEPS if i else _FIRST_STEPS
        kept = _kept(scores[: stages[i]])
        theta = fit(points[kept], scores[kept], axes, theta, steps)
        with _guard:
            _cache[keys[i]] = theta
            while len(_cache) > 1000:
                _cache.popitem(last=False)
    assert theta is not None, "there is at least one stage"
    return theta


def _stages(startup: int, count: int) -> list[int]:
    """Return after how many trials, up to `count`, hyperparameters are fitted: each third, later each fortieth part."""
    stages = [min(startup, count)]
    while (following := stages[-1] + max(_FIT_EVERY, stages[-1] // 40)) <= count:
        stages.append(following)
    return stages


def _kept(scores: Array) -> NDArray[np.intp]:
    """Return which trials the model looks at: all, but of very many the best and the latest; the cost is cubic."""
    if len(scores) <= _MOST:
        return np.arange(len(scores))
    best = np.argsort(-scores, kind="stable")[: _MOST // 2]
    rest = np.setdiff1d(np.arange(len(scores)), best)
    return np.sort(np.concatenate([best, rest[-(_MOST - len(best)) :]]))


def _digest(points: Array, scores: Array, axes: Axes, startup: int) -> bytes:
    parts: Sequence[Array] = (points, scores, axes.alike, np.array([startup, axes.smooth], dtype=float))
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).digest()


def _candidates(points: Array, expected: Array, rng: np.random.Generator) -> Array:
    """Return uniform points, neighbours and sparse changes of the three best, and mixes with others, shape (4 m, D)."""
    dims, shape = points.shape[1], (_CANDIDATES, points.shape[1])
    best = points[np.argsort(-expected)[:3]]
    base = best[rng.integers(len(best), size=_CANDIDATES)]
    share = np.minimum(rng.choice([3 / dims, 8 / dims, 1.0], size=(_CANDIDATES, 1)), 1)
    width = rng.choice([0.05, 0.15, 0.35], size=(_CANDIDATES, 1))
    near = np.where(rng.uniform(size=shape) < share, base + width * rng.standard_normal(shape), base)
    few = rng.uniform(0.05, 0.6, size=(_CANDIDATES, 1))
    changed = np.where(rng.uniform(size=shape) < few, rng.uniform(size=shape), base)
    others = points[rng.integers(len(points), size=_CANDIDATES)]
    mixed = np.where(rng.uniform(size=shape) < 0.5, others, base)
    return np.concatenate([rng.uniform(size=shape), near.clip(0, 1), changed, mixed])


def _climb(
    function: Callable[[Array], tuple[Array, Array]], points: Array, frozen: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Climb from all of `points` at once, within ``[0, 1]`` and never downwards; `frozen` columns stay."""
    best = points.copy()
    values, slopes = function(best)
    stride = np.full((len(best), 1), 0.1)
    for _ in range(_CLIMB):
        stuck = frozen | ((best <= 0) & (slopes < 0)) | ((best >= 1) & (slopes > 0))
        slopes = np.where(stuck, 0.0, slopes)
        step = stride * slopes / (np.abs(slopes).max(1, keepdims=True) + 1e-12)
        moved = (best + step).clip(0, 1)
        there, slopes_there = function(moved)
        better = (there > values)[:, None]
        best, slopes = np.where(better, moved, best), np.where(better, slopes_there, slopes)
        values = np.maximum(values, there)
        stride = np.where(better, stride * 1.5, stride * 0.4)
    return best, values
