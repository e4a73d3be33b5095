"""Trials made while earlier ones wait for a person: when that is so, and what the search is told of those that wait."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import Budget
from lib_optim.search.stopping import is_rescored

__all__ = ["SAMPLERS", "assumed", "room"]

SAMPLERS = frozenset({"optim", "tpe", "gp", "random", "qmc", "grid", "botorch"})
"""The samplers that propose from whatever is known. The others replay generations or steps, each of which needs every
answer of the one before."""


def room(budget: Budget, trials: Sequence[Trial], resting: int, images: int, next_images: int) -> bool:
    """Tell whether a budget has a trial left beside those that wait.

    Args:
        budget: Its rules.
        trials: Those of the search, in every state.
        resting: How many of them wait for a person.
        images: How many images were made, those of the waiting ones included, and that are set aside.
        next_images: How many one more trial makes.
    """
    done = sum(trial.state == "complete" and not is_rescored(trial) for trial in trials)
    return done + resting < budget.trials and not (budget.images and images + next_images > budget.images)


def assumed(waiting: Iterable[Trial], trials: Iterable[Trial]) -> list[Trial]:
    """Return `waiting` as if each had come out as the worst so far (on each goal), so that the search looks
    elsewhere meanwhile.

    The constant liar of Ginsbourger, Le Riche and Carraro (2010), with the least value; what the person says replaces
    it. Unchanged while nothing is scored.
    """
    done = [(trial.value, trial.axes) for trial in trials if trial.state == "complete" and trial.value is not None]
    if not done:
        return list(waiting)
    worst = min(value for value, _ in done)
    names = {name for _, axes in done for name in axes}
    axes = {name: min(known[name] for _, known in done if name in known) for name in sorted(names)}
    return [dataclasses.replace(trial, state="complete", value=worst, axes=axes) for trial in waiting]
