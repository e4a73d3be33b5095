"""Some parameters fixed at a trial's values, and the search going on: what may be frozen, and the plan of a new run."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from lib_optim.plan.bounds import Bound
from lib_optim.plan.design import StartDesign
from lib_optim.plan.dimensions import Space
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.starts import StartPoint

__all__ = ["frozen_plan", "refuse_to_freeze"]

_MARK = "frozen"


def frozen_plan(plan: RunPlan, space: Space, trial: Trial, names: Collection[str]) -> RunPlan:
    """Return `plan` with the parameters `names` fixed at the values of `trial`, which is tried first, without presets.

    Args:
        plan: The plan of the run that made `trial`.
        space: Its space.
        trial: The trial to go on from.
        names: Parameters of `space`; at least one stays free.

    Raises:
        PlanError: An unknown name, none at all, or all of them.
    """
    known = [parameter.name for parameter in space.parameters]
    refuse_to_freeze(known, names)
    fixed = {name: Bound("fixed", value=trial.values[name]) for name in known if name in names}
    # Keys of bounds count in any case, so an entry in other letters would stand beside ours.
    taken = {name.casefold() for name in fixed}
    bounds = {key: bound for key, bound in plan.guide.bounds.items() if key.casefold() not in taken}
    start = StartPoint(
        f"best of trial {trial.number}", values={n: v for n, v in trial.values.items() if n in known and n not in fixed}
    )
    return dataclasses.replace(
        plan,
        name=plan.name if plan.name.endswith(_MARK) else f"{plan.name} {_MARK}",
        guide=dataclasses.replace(plan.guide, bounds={**bounds, **fixed}),
        sampler=dataclasses.replace(plan.sampler, start=(start,), presets=(), design=StartDesign()),
    )


def refuse_to_freeze(known: Sequence[str], names: Collection[str]) -> None:
    """Make sure that of the searched parameters `known` those in `names` can be frozen.

    Raises:
        PlanError: An unknown name, none at all, or all of them.
    """
    problems = [
        Problem("freeze", f"'{name}' is not a parameter of this run.{did_you_mean(name, known)}")
        for name in names
        if name not in known
    ]
    if not names:
        problems.append(Problem("freeze", "Nothing is chosen to be frozen; choose at least one parameter."))
    elif not problems and set(known) <= set(names):
        problems.append(Problem("freeze", "All parameters are to be frozen, so nothing is left to search; keep one."))
    if problems:
        raise PlanError(problems)
