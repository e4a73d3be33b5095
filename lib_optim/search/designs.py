"""The start design as points of the space, each by its place in the design."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lib_optim.plan.bounds import Value
from lib_optim.plan.design import StartDesign
from lib_optim.plan.space import Space
from lib_optim.search.cube import Cube
from lib_optim.search.sequences import corner, inner_grid_point, latin_hypercube, low_discrepancy, uniform

__all__ = ["design_points"]

_Points = list[list[float]]
# dimensions, count, seed -> coordinates
_DESIGNS: Mapping[str, Callable[[int, int, int], _Points]] = {
    "vertices": lambda dimensions, count, seed: [corner(dimensions, i, seed) for i in range(count)],
    "grid": lambda dimensions, count, seed: [inner_grid_point(dimensions, count, i, seed) for i in range(count)],
    "latin": latin_hypercube,
    "sobol": lambda dimensions, count, seed: [
        low_discrepancy("sobol", dimensions, i, seed, True) for i in range(count)
    ],
    "random": lambda dimensions, count, seed: [uniform(dimensions, i, seed) for i in range(count)],
}


def design_points(design: StartDesign, space: Space, seed: int) -> Iterator[tuple[str, dict[str, Value]]]:
    """Yield origin and values of each point of `design`, in order; the same seed gives the same points.

    The origin is ``design: <kind> <number from 1>``. Points may come twice where the space has few values.
    """
    cube = Cube(space.parameters)
    for kind, count in design.counts.items():
        for index, point in enumerate(_DESIGNS[kind](len(cube), count, seed) if count else ()):
            yield f"design: {kind} {index + 1}", cube.values(point)
