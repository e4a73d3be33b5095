"""Points that depend on no score: low-discrepancy sequences, grids, corners. Used before the search and as one.

Every function is by index: point `i` of a sequence is the same whenever it is asked for, so nothing has to be kept.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from lib_optim.plan.bounds import Bound
from lib_optim.plan.space import Parameter
from lib_optim.search.cube import cells_of, is_unordered

__all__ = ["corner", "grid_point", "grid_size", "inner_grid_point", "latin_hypercube", "low_discrepancy", "uniform"]

_WORD = 32  # bits of a corner's random word


def low_discrepancy(kind: str, dimensions: int, index: int, seed: int, scramble: bool) -> list[float]:
    """Return point `index` (from 0) of a Sobol (1967) or Halton (1960) sequence in the unit cube.

    Args:
        kind: ``sobol`` or ``halton``.
        dimensions: Number of coordinates, at least 1.
        index: From 0.
        seed: Of the scrambling.
        scramble: Owen scrambling; without it, the sequence begins in the corner of all zeros, and ignores the seed.
    """
    from scipy.stats import qmc

    engine = {"sobol": qmc.Sobol, "halton": qmc.Halton}[kind](dimensions, scramble=scramble, seed=seed)
    if index:
        engine.fast_forward(index)
    return [float(u) for u in engine.random(1)[0]]


def latin_hypercube(dimensions: int, count: int, seed: int) -> list[list[float]]:
    """Return the `count` points of a Latin hypercube (McKay et al. 1979): each slice of each range is hit once."""
    drawn = random.Random(f"latin hypercube {seed} {count}")
    columns = []
    for _ in range(dimensions):
        slices = list(range(count))
        drawn.shuffle(slices)
        columns.append([(place + drawn.random()) / count for place in slices])
    return [list(point) for point in zip(*columns, strict=True)]


def uniform(dimensions: int, index: int, seed: int) -> list[float]:
    """Return draw `index` of independent uniform points."""
    drawn = random.Random(f"uniform {seed} {index}")
    return [drawn.random() for _ in range(dimensions)]


def corner(dimensions: int, index: int, seed: int) -> list[float]:
    """Return corner `index` of the cube, each coordinate 0 or 1: a random one, and after it the opposite one.

    So that every end of every range is tried once in each pair.
    """
    drawn = random.Random(f"corner {seed} {index // 2}")
    first = [float(drawn.getrandbits(_WORD) & 1) for _ in range(dimensions)]
    return [1.0 - u for u in first] if index % 2 else first


def grid_size(parameters: Sequence[Parameter], levels: int) -> int:
    """Return how many points a grid of `levels` values per parameter has; a parameter may have fewer values."""
    return math.prod(_levels(parameter.bound, levels) for parameter in parameters)


def grid_point(parameters: Sequence[Parameter], levels: int, index: int, seed: int) -> list[float]:
    """Return point `index` of the grid, in a scattered order; both ends of each range belong to it.

    The order visits every point once before it begins again: index times a stride that shares no factor with the
    size (near the golden section, so that neighbours come late), from a start that `seed` draws.
    """
    place = _scattered(grid_size(parameters, levels), index, seed)
    point = []
    for parameter in parameters:
        count = _levels(parameter.bound, levels)
        place, level = divmod(place, count)
        point.append(_level(parameter.bound, level, count))
    return point


def inner_grid_point(dimensions: int, count: int, index: int, seed: int) -> list[float]:
    """Return point `index` of the coarsest even grid inside the cube that has at least `count` points.

    In many dimensions, that is one or three quarters of the way on each coordinate.
    """
    levels = 2
    while levels**dimensions < count:
        levels += 1
    place = _scattered(levels**dimensions, index, seed)
    point = []
    for _ in range(dimensions):
        place, level = divmod(place, levels)
        point.append((level + 0.5) / levels)
    return point


def _scattered(size: int, index: int, seed: int) -> int:
    """Return a number below `size`: each one once while `index` runs through `size` numbers."""
    stride = max(1, size * 618_033_988_749 // 10**12)
    while math.gcd(stride, size) != 1:
        stride += 1
    return (index * stride + random.Random(f"grid {seed} {size}").randrange(size)) % size


def _levels(bound: Bound, levels: int) -> int:
    cells = cells_of(bound)
    if cells is None:
        return levels
    return cells if bound.kind == "bool" or is_unordered(bound) else min(cells, levels)


def _level(bound: Bound, level: int, count: int) -> float:
    share = 0.5 if count == 1 else level / (count - 1)
    cells = cells_of(bound)
    return share if cells is None else (round(share * (cells - 1)) + 0.5) / cells
