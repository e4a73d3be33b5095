"""Several objectives: scorers that name the same axis form one, and a plan of two or three axes is a Pareto run.

Nothing is compared between axes: a search of several looks for the merges that no other one beats on all of them. The
weighted value of everything stays beside them: it is the curve, the stop rules and the winner where nobody chose one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from lib_optim.plan.errors import Problem
from lib_optim.plan.scorers import ScorerSpec

__all__ = ["MAX_AXES", "axes_of", "axis_problems", "with_axes"]

MAX_AXES = 3
_LONGEST = 40


def axes_of(scorers: Sequence[ScorerSpec]) -> tuple[str, ...]:
    """Return the names of the axes, in the order of the scorers; none where everything is one objective."""
    names = tuple(dict.fromkeys(spec.axis for spec in scorers if spec.axis and spec.weight != 0))
    return names if len(names) > 1 else ()


def axis_problems(scorers: Sequence[ScorerSpec]) -> Iterator[Problem]:
    """Yield why `scorers` cannot be the objectives of one search."""
    scorers = [dataclasses.replace(spec, axis="") if spec.weight == 0 else spec for spec in scorers]
    names = list(dict.fromkeys(spec.axis for spec in scorers if spec.axis))
    bare = [spec.key for spec in scorers if not spec.axis and spec.weight != 0]  # who is only watched has no goal
    if names and bare:
        yield Problem(
            "scorers",
            f"The judge {bare[0]} belongs to no goal, and others do; name one for every judge, or for none.",
        )
    if len(names) > MAX_AXES:
        yield Problem(
            "scorers",
            f"The judges name {len(names)} goals ({', '.join(names)}), and a run has at most {MAX_AXES}; put some "
            "of them together.",
        )
    for i, spec in enumerate(scorers):
        if spec.axis != spec.axis.strip() or len(spec.axis) > _LONGEST or not spec.axis.isprintable():
            yield Problem(
                f"scorers[{i}].axis",
                f"The goal of {spec.key} needs a name of at most {_LONGEST} printable characters, without spaces "
                "at its ends.",
            )


def with_axes(scorers: Sequence[ScorerSpec], axes: Mapping[str, str]) -> tuple[ScorerSpec, ...]:
    """Return `scorers` with the axes that `axes` gives by key or id; an empty one belongs to none."""
    given = [axes.get(spec.key, axes.get(spec.id, spec.axis)) for spec in scorers]
    return tuple(dataclasses.replace(spec, axis=axis) for spec, axis in zip(scorers, given, strict=True))
