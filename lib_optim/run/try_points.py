"""Points for "Try it": where the sliders stand first, and what a preset, weights or a trial comes to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.dimensions import Parameter
from lib_optim.plan.errors import PlanError
from lib_optim.plan.presets import MIXING_PARAMETERS, preset, preset_values
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.starts import StartPoint, first_point, start_notes, start_values
from lib_optim.run.check import Resolved

__all__ = ["Point", "kept_point", "preset_point", "trial_point", "weights_point"]


@dataclasses.dataclass(frozen=True)
class Point:
    """Values of every parameter of a space, and what the user should know of them, a sentence each."""

    values: Mapping[str, Value]
    notes: tuple[str, ...] = ()


def kept_point(resolved: Resolved, given: Mapping[str, object]) -> Point:
    """Return what of `given` the space has a place for; the rest half-way between the models, or where a search begins.

    Args:
        resolved: Whose space.
        given: Parameter name to value, of another space maybe.
    """
    first = preset_values(preset("half"), resolved.space, resolved.blocks) or {}
    first = first or first_point(SamplerSpec(), resolved.space, resolved.blocks)[1]
    values: dict[str, Value] = {}
    for parameter in resolved.space.parameters:
        bound, wanted = parameter.bound, given.get(parameter.name)
        if isinstance(wanted, bool | int | float | str) and bound.contains(wanted):
            values[parameter.name] = float(wanted) if bound.kind == "float" else wanted
        else:
            values[parameter.name] = first.get(parameter.name, _middle(parameter))
    return Point(values)


def preset_point(resolved: Resolved, name: str) -> Point:
    """Return the point of a preset.

    Raises:
        PlanError: There is none of that name, or it does not fit.
    """
    values = preset_values(preset(name), resolved.space, resolved.blocks)
    if values is None:
        raise PlanError(f"The preset {name} does not fit what is searched here; widen the ranges or take another.")
    return Point(values)


def weights_point(resolved: Resolved, weights: Mapping[str, float], name: str = "pasted") -> Point:
    """Return the point closest to block weights (block to share of B).

    Raises:
        PlanError: As `start_values`.
    """
    point = StartPoint(name, {block: float(weight) for block, weight in weights.items()})
    values = start_values(point, resolved.space, resolved.blocks)
    return Point(values, tuple(start_notes(point, resolved.space, resolved.blocks)))


def trial_point(resolved: Resolved, source: Resolved, values: Mapping[str, Value], name: str) -> Point:
    """Return the point of `resolved` that shows a trial of `source`.

    By the names of its parameters where they are the same and in bounds, else by its block weights.

    Raises:
        PlanError: It has no block weights either, or they do not fit.
    """
    mine = {parameter.name: parameter.bound for parameter in resolved.space.parameters}
    if set(mine) == set(values) and all(bound.contains(values[name]) for name, bound in mine.items()):
        return Point(dict(values))
    table = source.space.assign(values)
    known = {block.name for block in resolved.blocks.blocks}
    for parameter, row in table.items():
        if parameter in MIXING_PARAMETERS:
            weights = {b: float(v) for b, v in row.items() if b in known and isinstance(v, int | float)}
            return weights_point(resolved, weights, name)
    raise PlanError(f"{name} varies other things than this form, and has no block weights; choose its method first.")


def _middle(parameter: Parameter) -> Value:
    bound = parameter.bound
    if parameter.default is not None and bound.contains(parameter.default):
        return parameter.default
    if bound.kind == "bool":
        return False
    return bound.choices[0] if bound.kind == "choice" else _half(bound)


def _half(bound: Bound) -> Value:
    low, high = bound.low or 0.0, bound.high or 0.0
    middle = math.sqrt(low * high) if bound.log else (low + high) / 2
    found = bound.nearest(float(round(middle)) if bound.kind == "int" and bound.step is None else middle)
    return low if found is None else found
