"""The search space as data: its searched dimensions, and what is fixed beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.noun import Noun

__all__ = ["Parameter", "Setting", "Space"]


@dataclass(frozen=True)
class Parameter(Noun):
    """One searched dimension.

    Attributes:
        name: Unique, ``<block or group>_<method parameter>``.
        bound: ``float``, ``int``, ``bool`` or ``choice``.
        method_parameter: What it sets, e.g. ``alpha``.
        blocks: The blocks in which it sets it.
        default: The method's own default, for warm starts; None where it has none.
    """

    name: str
    bound: Bound
    method_parameter: str
    blocks: tuple[str, ...]
    default: Value | None = None


@dataclass(frozen=True)
class Setting(Noun):
    """A value that is not searched: fixed by the guide or left at the method's default."""

    name: str
    value: Value
    method_parameter: str
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Space(Noun):
    """All dimensions of a run, and everything that is fixed beside them.

    Attributes:
        parameters: The searched dimensions, in block order.
        settings: The fixed ones.
        merged_blocks: Blocks that the guide covers; all other keys come from the base unmerged.
        base_blocks: Those of them that the merge leaves out, because only an adjustment of the base's own tensors
            is asked for.
    """

    parameters: tuple[Parameter, ...]
    settings: tuple[Setting, ...]
    merged_blocks: tuple[str, ...]
    base_blocks: tuple[str, ...] = ()

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
        for setting in self.settings:
            table.setdefault(setting.method_parameter, {}).update(dict.fromkeys(setting.blocks, setting.value))
        for parameter in self.parameters:
            value = values[parameter.name]
            table.setdefault(parameter.method_parameter, {}).update(dict.fromkeys(parameter.blocks, value))
        return table
