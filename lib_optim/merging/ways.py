"""The ways in which a run can merge: one, or one for each method between which its trials choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lib_optim.merging.engine import Engine
from lib_optim.merging.methods import MethodRow
from lib_optim.plan.adjust import ADJUSTMENTS
from lib_optim.plan.bounds import Value
from lib_optim.plan.methods import MergeMethod, MethodChoice
from lib_optim.plan.space import Space

__all__ = ["Way", "way_space", "way_spaces"]


@dataclass(frozen=True)
class Way:
    """One merge method, the part of the space that is its own, and what computes it."""

    row: MethodRow
    space: Space
    engine: Engine

    def assignment(self, values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
        """Return ``{method parameter: {block: value}}`` for one point of the whole run's space, of what counts here."""
        return self.space.assign({p.name: values[p.name] for p in self.space.parameters})


def way_spaces(space: Space, method: MergeMethod) -> tuple[Space, ...]:
    """Return what each method of a choice sees of `space`, in order; all of it where there is no choice."""
    return tuple(way_space(space, choice) for choice in method.choices) or (space,)


def way_space(space: Space, choice: MethodChoice) -> Space:
    """Return what one method of a choice sees of `space`: its own parameters, under its own names."""
    own = {name: parameter for parameter, name in choice.names.items()} | {p.name: p.name for p in ADJUSTMENTS}
    return replace(
        space,
        parameters=tuple(
            replace(p, method_parameter=own[p.method_parameter])
            for p in space.parameters
            if p.method_parameter in own and p.blocks
        ),
        settings=tuple(
            replace(s, method_parameter=own[s.method_parameter]) for s in space.settings if s.method_parameter in own
        ),
        curves=tuple(
            replace(c, method_parameter=own[c.method_parameter]) for c in space.curves if c.method_parameter in own
        ),
        ways={},
    )
