"""Curves in a space: from its dimensions to the curve, and from wanted block values to the points of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Value
from lib_optim.plan.curves import CurveShape, fitted
from lib_optim.plan.dimensions import BlockCurve, Parameter, Setting, Space
from lib_optim.plan.errors import PlanError

__all__ = ["block_curve", "curve_blocks", "curve_points"]


def block_curve(
    name: str, shape: CurveShape, points: Sequence[Parameter | Setting], blocks: Sequence[str], known: BlockMap
) -> BlockCurve:
    """Return the curve through `points`, in order, over `blocks`.

    Raises:
        PlanError: A block without depth, fewer depths than points, points that are no numbers.
    """
    found = {block: known.block(known.chain(block)[-1]).depth for block in blocks}
    flat = [block for block, depth in found.items() if depth is None]
    if flat:
        raise PlanError(
            f"{flat[0]} has no depth, so that {name} cannot be a curve over it; leave it to another strategy."
        )
    depths = {block: depth for block, depth in found.items() if depth is not None}
    count = len(set(depths.values()))
    if count < len(points):
        raise PlanError(
            f"{name} is a curve of {len(points)} points over {count} blocks of different depth; take fewer points."
        )
    first, last = min(depths.values()), max(depths.values())
    ends = [_ends(point) for point in points]
    low, high = min(ends)[0], max(high for _, high in ends)
    log = low > 0 and all(point.bound.log for point in points if isinstance(point, Parameter))
    log = log and any(isinstance(point, Parameter) for point in points)
    return BlockCurve(
        name, points[0].method_parameter, shape, tuple(point.name for point in points), tuple(depths),
        tuple((depth - first) / (last - first) for depth in depths.values()), low, high, log,
    )  # fmt: skip


def _ends(point: Parameter | Setting) -> tuple[float, float]:
    if isinstance(point, Setting):
        return float(point.value), float(point.value)
    return float(point.bound.low or 0.0), float(point.bound.high or 0.0)


def curve_blocks(curve: BlockCurve, blocks: BlockMap) -> tuple[str, ...]:
    """Return the blocks that say what the curve shall be: those that follow no other, all of them if there are none."""
    leaders = tuple(name for name in curve.blocks if blocks.block(name).follows is None)
    return leaders or curve.blocks


def curve_points(curve: BlockCurve, space: Space, wanted: Mapping[str, float]) -> dict[str, Value] | None:
    """Return the searched points of the curve that comes closest to wanted values, on their steps.

    Args:
        curve: One of `space`.
        space: The space.
        wanted: Block to value, at least one.

    Returns:
        Point to value; None where a wanted value lies outside of the range of all points.
    """
    if not all(curve.low <= value <= curve.high for value in wanted.values()):
        return None
    rows: list[Parameter | Setting] = [*space.parameters, *space.settings]
    by_name = {row.name: row for row in rows}
    points = [by_name[name] for name in curve.points]
    scale = math.log if curve.log else float
    depth = dict(zip(curve.blocks, curve.depths, strict=True))
    targets = [(depth[block], scale(value)) for block, value in wanted.items()]
    ranges = [(scale(low), scale(high)) for low, high in map(_ends, points)]
    found: dict[str, Value] = {}
    for point, value in zip(points, fitted(curve.shape, targets, ranges), strict=True):
        if isinstance(point, Parameter):
            low, high = _ends(point)
            exact = min(max(math.exp(value) if curve.log else value, low), high)
            near = point.bound.nearest(round(exact) if point.bound.kind == "int" else exact)
            if near is None:
                return None
            found[point.name] = near
    return found
