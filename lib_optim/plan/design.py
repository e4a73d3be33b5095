"""The start design: how many trials look around before the sampler takes over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from lib_optim.plan.errors import Problem
from lib_optim.plan.noun import Noun

__all__ = ["StartDesign"]

_MOST = 1000


@dataclass(frozen=True)
class StartDesign(Noun):
    """Counts of trials after the starts and presets, in this order; 0 to 1000 each.

    Attributes:
        vertices: Corners of the space, in opposite pairs: every parameter at one end of its range.
        grid: Points of an even grid inside the space, in a scattered order.
        latin: A Latin hypercube: each parameter takes every one of so many slices of its range once.
        sobol: The first points of a scrambled Sobol sequence.
        random: Uniform draws.
    """

    vertices: int = 0
    grid: int = 0
    latin: int = 0
    sobol: int = 0
    random: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Every count, in the order in which they are tried."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def total(self) -> int:
        """How many trials these are, at most: what was tried before is left out."""
        return sum(self.counts.values())

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the counts, a sentence each."""
        for name, count in self.counts.items():
            if not 0 <= count <= _MOST:
                yield Problem(
                    f"sampler.design.{name}", f"The start design's {name} must lie between 0 and {_MOST}, not {count}."
                )
