"""Trials of an earlier run that are learnt from and not tried again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Value
from lib_optim.plan.dimensions import Space
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.starts import StartPoint, start_values

__all__ = ["FEWEST_EARLIER", "earlier_problems", "earlier_trials"]

FEWEST_EARLIER = 3
"""Fewer say nothing of scale and direction."""


def earlier_trials(
    points: Iterable[StartPoint], space: Space, blocks: BlockMap
) -> tuple[tuple[Mapping[str, Value], float], ...]:
    """Return values and score of those of `points` that have a score and fit the space; others are left out."""
    found = []
    for point in points:
        try:
            values = start_values(point, space, blocks)
        except PlanError:
            continue
        if point.score is not None and math.isfinite(point.score):
            found.append((values, point.score))
    return tuple(found)


def earlier_problems(points: tuple[StartPoint, ...], space: Space, blocks: BlockMap) -> Iterator[Problem]:
    """Yield why nothing can be learnt from `points`."""
    fitting = len(earlier_trials(points, space, blocks))
    if points and fitting < FEWEST_EARLIER:
        yield Problem(
            "sampler.earlier",
            f"Of {len(points)} earlier trials, {fitting} fit the ranges of this run, and at least {FEWEST_EARLIER} are "
            "needed to learn from; widen the ranges, take more trials of that run, or remove them.",
        )
