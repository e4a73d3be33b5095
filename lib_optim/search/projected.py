"""A recorded trial as Optuna sees it, cheap to put into a study: every suggestion makes one of all trials anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from lib_optim.plan.records import Trial
from lib_optim.search.record import scores_of

__all__ = ["projected"]


def projected(trial: Trial, axes: tuple[str, ...], distributions: Mapping[str, Any]) -> FrozenTrial:
    """Return `trial` for a study with these objectives; without a value it is one that failed.

    Raises:
        ValueError: Its values do not lie in `distributions`.
    """
    values = scores_of(trial, axes)
    made = create_trial(
        state=TrialState.FAIL if values is None else TrialState.COMPLETE,
        params=dict(trial.values),
        distributions=dict(distributions),
        values=values,
    )
    made.distributions = _Shared(distributions)
    made.__class__ = _Projected  # it was validated just now
    return made


class _Projected(FrozenTrial):
    """A trial that a study copies and looks through once more each time that it is added; thousands of them are."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Projected:
        made = object.__new__(_Projected)
        made.__dict__.update(self.__dict__)
        for name, content in self.__dict__.items():
            if type(content) in (dict, list):  # what a sampler might write into; all in them is plain
                setattr(made, name, content.copy())
        return made

    def _validate(self) -> None:
        """Done before."""


class _Shared(dict[str, Any]):
    """Distributions that all trials have in common."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self
