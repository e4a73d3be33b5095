"""Start points: block weights that the user brings along, tried before anything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Value
from lib_optim.plan.curve_space import curve_blocks, curve_points
from lib_optim.plan.dimensions import BlockCurve, Parameter, Space
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.noun import Noun
from lib_optim.plan.presets import MIXING_PARAMETERS, preset, preset_values

if TYPE_CHECKING:
    from lib_optim.plan.run_plan import SamplerSpec

__all__ = ["StartPoint", "first_point", "start_notes", "start_problems", "start_values"]


_CLOSE = 0.005


@dataclass(frozen=True)
class StartPoint(Noun):
    """One merge to try first.

    Attributes:
        name: By which its trial is known; unique in a plan.
        weights: Block to share of B. Blocks that are absent stay as in model A.
        values: Instead of `weights`: parameter name to value, as an earlier run tried them. A parameter that is absent
            takes the method's default.
        score: What it scored in an earlier run, on that run's scale; None if that is not known.
    """

    name: str
    weights: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    score: float | None = None


def start_values(point: StartPoint, space: Space, blocks: BlockMap) -> dict[str, Value]:
    """Return the point of `space` that `point` stands for.

    A parameter that spans several blocks takes the mean over those that have a weight; in steps, the nearest step.
    Method parameters other than the mixing weight take the method's default.

    Raises:
        PlanError: An unknown block, a weight outside the bounds, or a space without a mixing weight.
    """
    problems = list(_unknown(point, blocks))
    if point.values and not problems:
        return _by_name(point, space)
    if not any(p.method_parameter in MIXING_PARAMETERS for p in space.parameters):
        problems.append(_problem(f"'{point.name}' gives block weights, and this run searches none; remove it."))
    values: dict[str, Value] = {}
    for curve in () if problems else _mixing_curves(space):
        wanted_there = _on_curve(point, curve, blocks)
        points = curve_points(curve, space, wanted_there)
        if points is None:
            far = next(name for name, value in wanted_there.items() if not curve.low <= value <= curve.high)
            problems.append(
                _problem(
                    f"The start '{point.name}' gives {far} {wanted_there[far]:.4g}, which lies outside of "
                    f"{curve.low:g}..{curve.high:g} of {curve.name}; widen that range or remove the start."
                )
            )
        else:
            values |= points
    for parameter in () if problems else space.parameters:
        if parameter.name in values:
            continue
        wanted = _wanted(point, parameter, blocks)
        if parameter.method_parameter in MIXING_PARAMETERS:
            value = None if wanted is None else parameter.bound.nearest(wanted)
        else:
            value = parameter.default
        if value is None or not parameter.bound.contains(value):
            what = "no default" if wanted is None else f"{wanted:.4g}"
            problems.append(_outside(point, parameter, what))
        else:
            values[parameter.name] = value
    if problems:
        raise PlanError(problems)
    return values


def _outside(point: StartPoint, parameter: Parameter, what: str) -> Problem:
    return _problem(
        f"The start '{point.name}' gives {parameter.name} {what}, which lies outside {parameter.bound}; widen that "
        "range or remove the start."
    )


def _by_name(point: StartPoint, space: Space) -> dict[str, Value]:
    values: dict[str, Value] = {}
    problems = []
    for parameter in space.parameters:
        given = point.values.get(parameter.name, parameter.default)
        value = given
        rounds = parameter.bound.step is not None or parameter.bound.kind == "float"
        if rounds and isinstance(given, int | float) and not isinstance(given, bool):
            value = parameter.bound.nearest(float(given))
        if value is None or not parameter.bound.contains(value):
            what = "no value" if given is None else repr(given)
            problems.append(_outside(point, parameter, what))
        else:
            values[parameter.name] = value
    if problems:
        raise PlanError(problems)
    return values


def first_point(sampler: SamplerSpec, space: Space, blocks: BlockMap) -> tuple[str, dict[str, Value]]:
    """Return the origin and the values of the first trial, if it is known beforehand: a start, else a preset.

    Where neither fits the space, the sampler begins, and both are empty.
    """
    for point in sampler.start:
        try:
            return f"start: {point.name}", start_values(point, space, blocks)
        except PlanError:
            continue  # the plan's check names it
    for name in sampler.presets:
        values = preset_values(preset(name), space, blocks)
        if values is not None:
            return f"preset: {name}", values
    return "", {}


def start_problems(points: Iterable[StartPoint], space: Space, blocks: BlockMap) -> Iterator[Problem]:
    """Yield why `points` cannot be tried, each by itself and all together."""
    names: set[str] = set()
    for point in points:
        if point.name in names:
            yield _problem(f"Two starts are called '{point.name}'; rename or remove one.")
        names.add(point.name)
        try:
            start_values(point, space, blocks)
        except PlanError as error:
            yield from error.problems


def start_notes(point: StartPoint, space: Space, blocks: BlockMap) -> Iterator[str]:
    """Yield a sentence for what of `point` the run cannot show: blocks that are fixed or kept, means over groups."""
    if point.values:
        yield from _name_notes(point, space)
        return
    searched = [p for p in space.parameters if p.method_parameter in MIXING_PARAMETERS]
    taken = {block for parameter in searched for block in parameter.blocks}
    lost = [name for name in point.weights if name not in taken and _own(point, name, blocks)]
    if lost:
        yield f"The start '{point.name}' names {', '.join(lost)}, which this run does not search; the rest is tried."
    for curve in _mixing_curves(space):
        wanted = _on_curve(point, curve, blocks)
        points = curve_points(curve, space, wanted)
        if points is not None:
            every = {**{row.name: row.value for row in space.settings}, **points}
            made = curve.values([float(every[name]) for name in curve.points])
            off = max(abs(made[name] - value) for name, value in wanted.items())
            if off > _CLOSE:
                yield f"The start '{point.name}' is no curve like {curve.name}; the closest, {off:.2g} off, is tried."
    for parameter in searched:
        if parameter.curve:
            continue
        given = {point.weights[name] for name in parameter.blocks if name in point.weights}
        if len(given) > 1:
            yield f"The start '{point.name}' gives {parameter.name} several weights; their mean is tried."


def _name_notes(point: StartPoint, space: Space) -> Iterator[str]:
    names = [parameter.name for parameter in space.parameters]
    lost = [name for name in point.values if name not in names]
    if lost:
        yield f"The start '{point.name}' has {', '.join(lost)}, which this run does not search; the rest is tried."
    absent = [name for name in names if name not in point.values]
    if absent:
        yield f"The start '{point.name}' has no {', '.join(absent)}; there the method's default is tried."


def _mixing_curves(space: Space) -> tuple[BlockCurve, ...]:
    return tuple(curve for curve in space.curves if curve.method_parameter in MIXING_PARAMETERS)


def _on_curve(point: StartPoint, curve: BlockCurve, blocks: BlockMap) -> dict[str, float]:
    """Return the weight of every block of a curve, its own, that of the one it follows, or 0."""
    return {
        name: next((point.weights[n] for n in blocks.chain(name) if n in point.weights), 0.0)
        for name in curve_blocks(curve, blocks)
    }


def _own(point: StartPoint, name: str, blocks: BlockMap) -> bool:
    """Whether the block says something that the block which it follows does not."""
    leader = blocks.block(name).follows
    return point.weights[name] != (0.0 if leader is None else point.weights.get(leader))


def _wanted(point: StartPoint, parameter: Parameter, blocks: BlockMap) -> float | None:
    if parameter.method_parameter not in MIXING_PARAMETERS:
        return None
    # A block that follows another counts only where it is alone: then it takes its leader's weight, if it has none.
    members = [blocks.block(name) for name in parameter.blocks]
    leaders = [block.name for block in members if block.follows is None]
    alone = [next((name for name in blocks.chain(b.name) if name in point.weights), b.name) for b in members]
    given = [point.weights[name] for name in leaders or alone if name in point.weights]
    return sum(given) / len(given) if given else 0.0


def _unknown(point: StartPoint, blocks: BlockMap) -> Iterator[Problem]:
    known = [block.name for block in blocks.blocks]
    if not point.name.strip():
        yield _problem("A start has no name; give it one.")
    if not point.weights and not point.values:
        yield _problem(f"The start '{point.name}' holds no weights; remove it.")
    for name in point.weights:
        if name not in known:
            yield _problem(f"The start '{point.name}' names '{name}', no block here.{did_you_mean(name, known)}")


def _problem(sentence: str) -> Problem:
    return Problem("sampler.start", sentence)
