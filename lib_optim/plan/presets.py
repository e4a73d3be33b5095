"""The block-weight curves that the field knows by name, evaluated on any block map.

Formulas from the preset tables of supermerger and runtime-block-merge (25 UNet numbers, i = 0 … 24); here
over depth x in [0, 1], with i = 24 x, so that they also fit SDXL's 19 blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Value
from lib_optim.plan.curve_space import curve_blocks, curve_points
from lib_optim.plan.errors import PlanError
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.space import Parameter, Space

__all__ = ["PRESETS", "Preset", "preset", "preset_values"]

MIXING_PARAMETERS = ("alpha",)
"""Method parameters that mean "share of B", to which presets apply; others keep the method's default."""


@dataclass(frozen=True)
class Preset:
    """One curve: `curve` maps depth 0..1 to a weight 0..1; `base` is the weight of blocks without depth."""

    name: str
    curve: Callable[[float], float]
    base: float = 0.0


def _smooth(x: float) -> float:
    return 3 * x**2 - 2 * x**3


def _fold(t: float) -> float:
    return 1 - abs(1 - t % 2)


def _within(x: float, low: float, high: float) -> float:
    return 1.0 if low - 1e-9 <= 24 * x <= high + 1e-9 else 0.0


def _wrap(width: int) -> Callable[[float], float]:
    return lambda x: 1.0 if 24 * x < width - 0.5 or 24 * x > 24 - width + 0.5 else 0.0


def _ring(first: tuple[int, int], second: tuple[int, int], soft: bool = False) -> Callable[[float], float]:
    def curve(x: float) -> float:
        for low, high in (first, second):
            if _within(x, low, high):
                at_end = min(abs(24 * x - low), abs(24 * x - high)) < 0.5
                return 0.5 if soft and at_end else 1.0
        return 0.0

    return curve


def _reverse(curve: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: 1 - curve(x)


def _true_hermite(x: float) -> float:
    return (77 * x**3 - 115.5 * x**2 + 50 * x + 0.5) / 12 if x > 0 else 0.0


_CURVES: dict[str, Callable[[float], float]] = {
    "GRAD_V": lambda x: abs(1 - 2 * x),
    "GRAD_A": lambda x: 1 - abs(1 - 2 * x),
    "WRAP08": _wrap(4),
    "WRAP12": _wrap(6),
    "WRAP14": _wrap(7),
    "WRAP16": _wrap(8),
    "MID12_50": lambda x: 0.5 * _within(x, 5, 18),
    "OUT07": lambda x: _within(x, 18, 24),
    "OUT12": lambda x: _within(x, 13, 24),
    "OUT12_5": lambda x: 0.5 if abs(24 * x - 12) < 0.5 else _within(x, 13, 24),
    "RING08_SOFT": _ring((5, 9), (15, 19), soft=True),
    "RING08_5": _ring((6, 9), (15, 18)),
    "RING10_5": _ring((5, 9), (15, 19)),
    "RING10_3": _ring((6, 10), (14, 18)),
    "SMOOTHSTEP": _smooth,
    "SMOOTHSTEP*2": lambda x: _fold(2 * _smooth(x)),
    "SMOOTHSTEP*3": lambda x: _fold(3 * _smooth(x)),
    "SMOOTHSTEP*4": lambda x: _fold(4 * _smooth(x)),
    "SMOOTHSTEP/2": lambda x: _smooth(_fold(2 * x)),
    "SMOOTHSTEP/3": lambda x: _smooth(_fold(3 * x)),
    "SMOOTHSTEP/4": lambda x: _smooth(_fold(4 * x)),
    "COSINE": lambda x: (1 + math.cos(math.pi * x)) / 2,
    "FAKE_CUBIC_HERMITE": lambda x: (38 * x**3 - 57 * x**2 + 25 * x) / 6,
    "TRUE_CUBIC_HERMITE": _true_hermite,
}

PRESETS: tuple[Preset, ...] = (
    Preset("all A", lambda x: 0.0),
    Preset("all B", lambda x: 1.0, 1.0),
    Preset("half", lambda x: 0.5, 0.5),
    Preset("FLAT_25", lambda x: 0.25, 0.25),
    Preset("FLAT_75", lambda x: 0.75, 0.75),
    *(Preset(name, curve) for name, curve in _CURVES.items()),
    *(
        Preset(f"REVERSE_{name}", _reverse(_CURVES[name]))
        for name in ("SMOOTHSTEP", "SMOOTHSTEP*2", "SMOOTHSTEP/2", "COSINE", "TRUE_CUBIC_HERMITE")
    ),
)

_UNCHANGED = Preset("unchanged", lambda x: 0.0)
"""No curve: the point of all defaults, which is a recipe as it was written, or an adjustment that changes nothing."""


def preset(name: str) -> Preset:
    """Return the preset called `name`.

    Raises:
        PlanError: There is none; names the nearest.
    """
    for row in (_UNCHANGED, *PRESETS):
        if row.name.casefold() == name.casefold():
            return row
    raise PlanError(f"There is no preset '{name}'.{did_you_mean(name, [row.name for row in PRESETS])}")


def preset_values(row: Preset, space: Space, blocks: BlockMap) -> dict[str, Value] | None:
    """Return the point of `space` that `row` stands for, or None where it does not fit.

    A parameter that spans several blocks takes the mean over them, in steps the nearest step; the points of a curve are
    those whose curve comes closest to the preset. Parameters other
    than the mixing weight take the method's default. It does not fit if a value lies out of bounds, a choice
    lacks it, a default is missing, or the space has no mixing weight at all; ``unchanged``, where it has one.
    """
    mixing = any(p.method_parameter in MIXING_PARAMETERS for p in space.parameters)
    if mixing == (row is _UNCHANGED):
        return None
    values: dict[str, Value] = {}
    for curve in space.curves if mixing else ():
        if curve.method_parameter in MIXING_PARAMETERS:
            wanted = {name: _weight(row, name, blocks) for name in curve_blocks(curve, blocks)}
            points = curve_points(curve, space, wanted)
            if points is None:
                return None
            values |= points
    for parameter in space.parameters:
        if parameter.name in values:
            continue
        value = _value(row, parameter, blocks)
        if value is None or not parameter.bound.contains(value):
            return None
        values[parameter.name] = value
    return values


def _value(row: Preset, parameter: Parameter, blocks: BlockMap) -> Value | None:
    if parameter.method_parameter not in MIXING_PARAMETERS:
        return parameter.default
    members = [blocks.block(name) for name in parameter.blocks]
    # A block that follows another counts only where it is alone: then it takes its leader's place on the curve.
    leaders = [block for block in members if block.follows is None]
    leaders = leaders or [blocks.block(blocks.chain(block.name)[-1]) for block in members]
    weights = [row.base if block.depth is None else row.curve(block.depth) for block in leaders]
    return parameter.bound.nearest(min(max(sum(weights) / len(weights), 0.0), 1.0))


def _weight(row: Preset, name: str, blocks: BlockMap) -> float:
    """Return the weight of one block on a preset's curve, that of its leader if it follows one."""
    depth = blocks.block(blocks.chain(name)[-1]).depth
    return row.base if depth is None else min(max(row.curve(depth), 0.0), 1.0)
