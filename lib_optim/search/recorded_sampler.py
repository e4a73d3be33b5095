"""The base of our own samplers, on Optuna's interface: they propose from the record, and keep nothing."""

from __future__ import annotations

import abc
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from lib_optim.plan.bounds import Bound, Value
from lib_optim.search.record import Record

__all__ = ["RecordedSampler", "distribution_of"]


class RecordedSampler(BaseSampler, abc.ABC):
    """Proposes all parameters at once from the `Record` that it was handed last.

    Args:
        seed: Of this one suggestion.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._record: Record | None = None
        self._random = RandomSampler(seed=seed)

    def take(self, record: Record) -> None:
        """See `TakesRecord`."""
        self._record = record

    @abc.abstractmethod
    def propose(self, record: Record) -> dict[str, Value] | None:
        """Return the next point, or None for a random one."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return all dimensions: they are known from the start."""
        if self._record is None:
            return {}
        return {parameter.name: distribution_of(parameter.bound) for parameter in self._record.parameters}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return what `propose` says."""
        proposed = None if self._record is None else self.propose(self._record)
        return dict(proposed or {})

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw uniformly."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def distribution_of(bound: Bound) -> BaseDistribution:
    """Return Optuna's name for `bound`."""
    if bound.kind == "bool":
        return CategoricalDistribution((False, True))
    if bound.kind == "choice":
        return CategoricalDistribution(bound.choices)
    low, high = bound.low or 0.0, bound.high or 0.0
    if bound.kind == "int":
        return IntDistribution(int(low), int(high), log=bound.log, step=int(bound.step or 1))
    return FloatDistribution(low, high, log=bound.log, step=bound.step)
