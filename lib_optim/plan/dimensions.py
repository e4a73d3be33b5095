"""The search space as data: its searched dimensions, and what is fixed beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.curves import CurveShape, curve_through
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.noun import Noun

__all__ = ["METHOD", "BlockCurve", "Parameter", "Setting", "Space"]

METHOD = "method"
"""Name of the parameter that is the merge method itself, where trials choose one."""


@dataclass(frozen=True)
class Parameter(Noun):
    """One searched dimension.

    Attributes:
        name: Unique, ``<block or group>_<method parameter>``.
        bound: ``float``, ``int``, ``bool`` or ``choice``.
        method_parameter: What it sets, e.g. ``alpha``.
        blocks: The blocks in which it sets it; empty for the choice of the method.
        default: The method's own default, for warm starts; None where it has none.
        curve: Name of the curve that it is a point of, in all of `blocks`; empty for a value that stands for itself.
    """

    name: str
    bound: Bound
    method_parameter: str
    blocks: tuple[str, ...]
    default: Value | None = None
    curve: str = ""


@dataclass(frozen=True)
class Setting(Noun):
    """A value that is not searched: fixed by the guide or left at the method's default; `curve` as in `Parameter`."""

    name: str
    value: Value
    method_parameter: str
    blocks: tuple[str, ...]
    curve: str = ""


@dataclass(frozen=True)
class BlockCurve(Noun):
    """Blocks whose values lie on a curve.

    Attributes:
        name: ``<group or component>_<method parameter>``; its points are called after it: ``unet_alpha_p1``, ….
        method_parameter: What it sets.
        shape: See `lib_optim.plan.curves`.
        points: Names of its control points, searched or fixed, in order.
        blocks: The blocks.
        depths: Where each block lies, from 0 (the curve's first) to 1 (its last).
        low: No block gets less.
        high: No block gets more.
        log: Whether the curve runs through the points' logarithms.
    """

    name: str
    method_parameter: str
    shape: CurveShape
    points: tuple[str, ...]
    blocks: tuple[str, ...]
    depths: tuple[float, ...]
    low: float
    high: float
    log: bool = False

    def values(self, points: Sequence[float]) -> dict[str, float]:
        """Return the value of each block, for a value per control point."""
        curve = curve_through(self.shape, [math.log(value) if self.log else value for value in points])
        found: dict[str, float] = {}
        for block, depth in zip(self.blocks, self.depths, strict=True):
            value = math.exp(curve(depth)) if self.log else curve(depth)
            found[block] = min(max(value, self.low), self.high)
        return found


@dataclass(frozen=True)
class Space(Noun):
    """All dimensions of a run, and everything that is fixed beside them.

    Attributes:
        parameters: The searched dimensions, in block order.
        settings: The fixed ones.
        merged_blocks: Blocks that the guide covers; all other keys come from the base unmerged.
        base_blocks: Those of them that the merge leaves out, because only an adjustment of the base's own tensors
            is asked for.
        curves: Which dimensions are points of curves over blocks.
        ways: Where every trial chooses a merge method, by the value of the parameter ``method``: method to the method
            parameters that count with it; all others do nothing then.
    """

    parameters: tuple[Parameter, ...]
    settings: tuple[Setting, ...]
    merged_blocks: tuple[str, ...]
    base_blocks: tuple[str, ...] = ()
    curves: tuple[BlockCurve, ...] = ()
    ways: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def assign(self, values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
        """Turn one point of the space into ``{method parameter: {block: value}}``, for every block it has one in.

        Args:
            values: Exactly one value per searched parameter, by name.

        Raises:
            PlanError: A name missing or unknown, or a value out of bounds.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        problems = [
            Problem(name, f"'{name}' is not a parameter of this run.{did_you_mean(name, known)}")
            for name in values
            if name not in known
        ]
        for name, parameter in known.items():
            if name not in values:
                problems.append(Problem(name, f"The value of '{name}' is missing."))
            elif not parameter.bound.contains(values[name]):
                problems.append(Problem(name, f"{name} = {values[name]!r} lies outside {parameter.bound}."))
        if problems:
            raise PlanError(problems)
        table: dict[str, dict[str, Value]] = {}
        every = {**{setting.name: setting.value for setting in self.settings}, **values}
        rows: list[Parameter | Setting] = [*self.settings, *self.parameters]
        for row in rows:
            if not row.curve and row.blocks:  # the choice of the method is in no block
                table.setdefault(row.method_parameter, {}).update(dict.fromkeys(row.blocks, every[row.name]))
        for curve in self.curves:
            points = [float(every[name]) for name in curve.points]
            table.setdefault(curve.method_parameter, {}).update(curve.values(points))
        return table

    def active(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return those of `values` that do something: without the parameters of methods that are not chosen."""
        counts = self.ways.get(str(values.get(METHOD)))
        if counts is None:
            return dict(values)
        idle = {p.name for p in self.parameters if p.blocks and p.method_parameter not in counts}
        return {name: value for name, value in values.items() if name not in idle}

    def drawn(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return one point of the space as people look at it: what is `active`, and on a curve a value per block.

        Raises:
            PlanError: As `assign`.
        """
        active = self.active(values)
        if not self.curves:
            return active
        points = {name for curve in self.curves for name in curve.points}
        table = self.assign(values)
        on_curves = {
            f"{block}_{curve.method_parameter}": table[curve.method_parameter][block]
            for curve in self.curves
            for block in curve.blocks
            if any(name in active for name in curve.points) or not self.ways
        }
        return {**{name: value for name, value in active.items() if name not in points}, **on_curves}
