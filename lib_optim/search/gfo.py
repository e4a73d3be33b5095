"""The families of gradient-free-optimizers, by replay: the optimiser is asked until it asks for something new.

The package keeps its state in live objects, and proposes what was tried before as readily as anything else. So each
suggestion begins a new optimiser with the pass seed, answers its questions from the record, and takes the first one
that the record has no answer to. A replay of 120 trials costs some hundredths of a second; a repeated question costs
no images. Where a score was changed, the replay takes another way from there on.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lib_optim.plan.bounds import Value
from lib_optim.plan.space import Parameter
from lib_optim.search.apart import apart
from lib_optim.search.cube import Cube, cells_of, is_unordered
from lib_optim.search.gfo_rows import LEAST_SCORES, first_scores
from lib_optim.search.record import Record
from lib_optim.search.recorded_sampler import RecordedSampler

__all__ = ["GfoModelSampler", "GfoSampler"]

_QUESTIONS = 300  # beyond the known trials; an optimiser that has converged may ask the same for ever
_SEEDS = 2**31 - 1
_LEVELS = 21  # values per parameter that a model chooses among
_CANDIDATES = 20_000  # combinations that a model draws from them


class GfoSampler(RecordedSampler):
    """One of the package's optimisers that go step by step.

    Args:
        seed: Of this suggestion, for the random points before the optimiser can begin.
        kind: Name of the class in ``gradient_free_optimizers.ask_tell``.
        options: For its constructor.
    """

    def __init__(self, seed: int, kind: str, options: Mapping[str, Any]) -> None:
        super().__init__(seed)
        self._kind, self._options = kind, options

    def propose(self, record: Record) -> dict[str, Value] | None:
        """Return the first question without an answer; None while there are fewer scores than members."""
        cube = Cube(record.parameters)
        first = _first_scored(record, first_scores(self._kind, self._options, len(cube)))
        if not first:
            return None
        scaled = _scale([score for _, score in first])
        known = {point: scaled(score) for point, score in _answers(record).items()}
        with apart():
            optimiser = _optimiser(self._kind)(
                _space(record.parameters, None),
                [(_named(cube.point(values)), scaled(score)) for values, score in first],
                random_state=record.seed % _SEEDS,
                **self._options,
            )
            for _ in range(len(known) + _QUESTIONS):
                [asked] = optimiser.ask(1)
                values = cube.values(list(asked.values()))
                answer = known.get(tuple(values.values()))
                if answer is None:
                    return values
                optimiser.tell([answer])
        return None


class GfoModelSampler(RecordedSampler):
    """One of the package's optimisers that fit a model to all scores: built with them, it is asked once.

    It chooses among a sample of combinations of some values per parameter. The package draws that sample once and
    so freezes many parameters for good; here every suggestion draws another.
    """

    def __init__(self, seed: int, kind: str, options: Mapping[str, Any]) -> None:
        super().__init__(seed)
        self._kind, self._options = kind, options

    def propose(self, record: Record) -> dict[str, Value] | None:
        """Return the model's choice, or None while there are too few scores for one."""
        cube = Cube(record.parameters)
        space = _space(record.parameters, _LEVELS)
        scored = [(_snapped(cube.point(trial.values), space), value) for trial, value in record.scored()]
        if len(scored) < LEAST_SCORES:
            return None
        options = dict(self._options)
        if "n_estimators" in options:
            # The trees draw random numbers of their own, whose seed the package does not pass on.
            options["tree_para"] = {"n_estimators": options.pop("n_estimators"), "random_state": self.seed % _SEEDS}
        with apart():
            optimiser = _optimiser(self._kind)(
                space,
                scored,
                random_state=self.seed % _SEEDS,
                max_sample_size=_CANDIDATES,
                sampling={"random": options.pop("candidates")},
                **options,
            )
            [asked] = optimiser.ask(1)
        return cube.values(list(asked.values()))


def _scale(first: Sequence[float]) -> Callable[[float], float]:
    """Return a rising map of scores into 0..2, with its middle and slope from the first ones.

    The package's annealing compares (new - old) / (new + old), which has no meaning for scores below 0 and depends
    on where their zero lies.
    """
    middle = statistics.median(first)
    spread = statistics.fmean(abs(score - middle) for score in first) or abs(middle) or 1.0
    return lambda score: 1.0 + (score - middle) / (spread + abs(score - middle))


def _optimiser(kind: str) -> Any:
    from gradient_free_optimizers import ask_tell

    return getattr(ask_tell, kind)


def _first_scored(record: Record, least: int) -> list[tuple[Mapping[str, Value], float]]:
    """Return what was scored before the first proposal, and more if that is less than `least`; none if there is not."""
    first_own = min((trial.number for trial in record.own()), default=record.number)
    scored = list(record.scored())
    before = sum(trial.number < first_own for trial, _ in scored)
    count = max(before, least)
    return [(trial.values, value) for trial, value in scored[:count]] if len(scored) >= count else []


def _answers(record: Record) -> dict[tuple[Value, ...], float]:
    """Return point to score. A failed one is as bad as the worst before it, so that no replay turns on later trials."""
    names = [parameter.name for parameter in record.parameters]
    scores = {trial.number: value for trial, value in record.scored()}
    answers, worst = {}, min(scores.values(), default=0.0)
    seen: list[float] = []
    for trial in record.trials:
        if trial.number in scores:
            seen.append(scores[trial.number])
        answer = scores.get(trial.number, min(seen, default=worst))
        answers[tuple(trial.values[name] for name in names)] = answer
    return answers


def _space(parameters: Sequence[Parameter], levels: int | None) -> dict[str, Any]:
    """Return the cube as the package wants it: pairs are continuous, arrays ordered, lists unordered values."""
    space: dict[str, Any] = {}
    for i, parameter in enumerate(parameters):
        cells = cells_of(parameter.bound)
        if cells is None and levels is None:
            space[f"x{i}"] = (0.0, 1.0)
            continue
        count = min(cells or _LEVELS, levels or cells or _LEVELS)
        if cells is None:
            values = [level / (count - 1) for level in range(count)]
        else:
            places = [round(level * (cells - 1) / max(count - 1, 1)) for level in range(count)]
            values = [(place + 0.5) / cells for place in places]
        space[f"x{i}"] = values if is_unordered(parameter.bound) else np.array(values)
    return space


def _named(point: Sequence[float]) -> dict[str, float]:
    return {f"x{i}": u for i, u in enumerate(point)}


def _snapped(point: Sequence[float], space: Mapping[str, Any]) -> dict[str, float]:
    named = zip(space.items(), point, strict=True)
    return {name: min((float(v) for v in values), key=lambda v: abs(v - u)) for (name, values), u in named}
