"""Optuna's samplers where they keep state in the storage, which is rebuilt here: state from the record instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import NSGAIIISampler, NSGAIISampler, TPESampler, nsgaii
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from lib_optim.plan.space import Parameter
from lib_optim.search.record import Record

__all__ = ["NSGAII", "NSGAIII", "StageTPESampler", "crossover"]


class StageTPESampler(TPESampler):
    """TPE whose groups are the stages of the network.

    Optuna's `group` tells parameters apart by which trials have them. All our trials have all of them, so it would
    change nothing; here it gives the blocks of one stage (IN, M, OUT, a text encoder) and one method parameter a
    joint model of their own.
    """

    def take(self, record: Record) -> None:
        """Sort the parameters by stage."""
        if self._group:
            # The one place in TPESampler that decides on groups.
            self._group_decomposed_search_space = _Stages(record.parameters)  # type: ignore[assignment]


class _Stages:
    """Stands in for Optuna's `_GroupDecomposedSearchSpace` and for the `_SearchSpaceGroup` that it returns."""

    def __init__(self, parameters: tuple[Parameter, ...]) -> None:
        self._stage = {parameter.name: _stage_of(parameter) for parameter in parameters}
        self.search_spaces: list[dict[str, BaseDistribution]] = []

    def calculate(self, study: Study, use_cache: bool = False) -> _Stages:
        """Return itself, filled with the dimensions of the last complete trial, by stage."""
        complete = study._get_trials(deepcopy=False, states=(TrialState.COMPLETE,), use_cache=use_cache)
        groups: dict[str, dict[str, BaseDistribution]] = {}
        for name, distribution in (complete[-1].distributions if complete else {}).items():
            groups.setdefault(self._stage.get(name, ""), {})[name] = distribution
        self.search_spaces = list(groups.values())
        return self


def _stage_of(parameter: Parameter) -> str:
    first = parameter.blocks[0] if parameter.blocks else ""
    return f"{re.sub('[0-9]+$', '', first)} {parameter.method_parameter}"


class _Generations(NSGAIISampler):
    """Counts generations by the complete trials before a trial, presets and starts included, instead of by marks."""

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        """Return the generation that a trial of this number belongs to."""
        before = sum(other.number < trial.number for other in _complete(study))
        return before // (self.population_size or 1)

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Return the complete trials of a generation."""
        size = self.population_size or 1
        return _complete(study)[generation * size : (generation + 1) * size]


def _complete(study: Study) -> list[FrozenTrial]:
    return study._get_trials(deepcopy=False, states=(TrialState.COMPLETE,), use_cache=False)


class NSGAII(_Generations):
    """NSGA-II without marks in the storage."""


class NSGAIII(NSGAIIISampler):
    """NSGA-III without marks in the storage."""

    get_trial_generation = _Generations.get_trial_generation
    get_population = _Generations.get_population


def crossover(name: str, swapping: float) -> nsgaii.BaseCrossover:
    """Return Optuna's crossover of that name."""
    made: dict[str, Callable[[], Any]] = {
        "uniform": lambda: nsgaii.UniformCrossover(swapping),
        "blxalpha": nsgaii.BLXAlphaCrossover,
        "sbx": nsgaii.SBXCrossover,
        "vsbx": nsgaii.VSBXCrossover,
        "spx": nsgaii.SPXCrossover,
        "undx": nsgaii.UNDXCrossover,
    }
    found: nsgaii.BaseCrossover = made[name]()
    return found
