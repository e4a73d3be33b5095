"""The search space: what `Guide` + `MergeMethod` + `BlockMap` come to, parameter by parameter."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.curve_space import block_curve
from lib_optim.plan.dimensions import METHOD, BlockCurve, Parameter, Setting, Space
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import Curve, Guide
from lib_optim.plan.matching import match_blocks
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.owners import WILDCARDS, Owners
from lib_optim.plan.ties import resolve_ties

__all__ = ["Parameter", "Setting", "Space", "match_blocks", "space_of"]


def space_of(guide: Guide, method: MergeMethod, blocks: BlockMap) -> Space:
    """Derive the space.

    Overlaps: within a component the first strategy that names a block gets it, for the method parameters it
    concerns. A block with ``follows`` that no strategy names by itself takes its leader's values. A method
    parameter that no strategy covers for a merged block takes the bound the guide gives it if that is
    fixed, else the method's default.

    Raises:
        PlanError: Unknown component, block or parameter; an empty match; a strategy, group or bound without
            effect; bounds that make no sense or do not fit the parameter's type; nothing left to search or
            to merge.
    """
    return _Builder(guide, method, blocks).build()


@dataclass
class _Dimension:
    """One value to be: searched if a strategy `owned` it, unless a bound fixes it."""

    label: str
    parameter: MethodParameter
    blocks: list[str]
    owned: bool
    places: list[str] = field(default_factory=list)
    point: int = 0  # of a curve over the blocks, from 1 on

    @property
    def whole(self) -> str:
        # What has one value in the whole model needs no block in its name.
        return self.parameter.name if self.parameter.blocks else f"{self.label}_{self.parameter.name}"

    @property
    def name(self) -> str:
        return f"{self.whole}_p{self.point}" if self.point else self.whole

    @property
    def default(self) -> Value | None:
        return self.parameter.default_of(self.places or self.blocks)


class _Builder:
    def __init__(self, guide: Guide, method: MergeMethod, blocks: BlockMap) -> None:
        self.guide, self.method, self.map = guide, method, blocks
        self.owners = Owners(guide, method, blocks)
        self.problems: list[Problem] = list(self.owners.problems)
        self.bounds = {key.casefold(): key for key in guide.bounds}
        self.used_bounds: set[str] = set()
        self.idle_bounds: dict[str, str] = {}  # a range for what nothing searches -> name of that dimension

    def build(self) -> Space:
        merged = tuple(block.name for block in self.map.blocks if self.owners.merges(block))
        dimensions = self._dimensions(merged)
        searched: list[Parameter] = []
        settings: list[Setting] = []
        ties: list[Setting] = []
        bent = {d.whole: self.owners.curves.get((d.parameter.name, d.label)) for d in dimensions if d.owned}
        for dimension in dimensions:
            curve = bent.get(dimension.whole)
            points = range(1, curve.points + 1) if curve is not None else (0,)
            for point in points:
                self._settle(replace(dimension, point=point), searched, settings, ties)
        self.problems.extend(resolve_ties(ties, searched, settings))
        curves = self._curves(bent, searched, settings)
        if not self.owners.problems:  # what they left out may be what a bound is for
            self._unused_bounds(dimensions)
        if not self.problems:
            self._nothing_left(merged, [*searched, *self._choice(merged)])
        if self.problems:
            raise PlanError(self.problems)
        adjusted = {name for parameter in self.method.parameters for name in parameter.blocks}
        adjusted |= {block.name for block in self.map.blocks if block.key is not None and block.follows in adjusted}
        base = tuple(block.name for block in self.map.blocks if block.name in adjusted - set(merged))
        everything = tuple(block.name for block in self.map.blocks if block.name in {*merged, *base})
        order = {block.name: i for i, block in enumerate(self.map.blocks)}
        searched = [replace(p, blocks=tuple(sorted(p.blocks, key=order.__getitem__))) for p in searched]
        searched.sort(key=lambda p: order[p.blocks[0]])
        searched = [*self._choice(merged), *searched]
        ways = {choice.id: tuple(choice.names.values()) for choice in self.method.choices}
        if ways:  # an adjustment follows whichever method it is
            adjustments = tuple(p.name for p in self.method.parameters if p.blocks)
            ways = {name: (*names, *adjustments) for name, names in ways.items()}
        return Space(tuple(searched), tuple(settings), everything, base, curves, ways)

    def _choice(self, merged: tuple[str, ...]) -> list[Parameter]:
        """Return the choice of the method as a dimension, where there is one and anything is merged."""
        ids = tuple(choice.id for choice in self.method.choices)
        return [Parameter(METHOD, Bound("choice", choices=ids), METHOD, (), ids[0])] if ids and merged else []

    def _curves(
        self, bent: Mapping[str, Curve | None], searched: list[Parameter], settings: list[Setting]
    ) -> tuple[BlockCurve, ...]:
        found: list[BlockCurve] = []
        rows: list[Parameter | Setting] = [*searched, *settings]
        for name, curve in bent.items():
            points = sorted((row for row in rows if row.curve == name), key=lambda row: row.name)
            if curve is not None and len(points) == curve.points:  # else a bound was refused
                try:
                    found.append(block_curve(name, curve.shape, points, points[0].blocks, self.map))
                except PlanError as error:
                    self._say("guide", str(error))
        return tuple(found)

    def _say(self, where: str, sentence: str) -> None:
        self.problems.append(Problem(where, sentence))

    def _nothing_left(self, merged: tuple[str, ...], searched: list[Parameter]) -> None:
        wanted = any(s.type != "none" for component in self.guide.components for s in component.strategies)
        if wanted and not self.method.parameters:
            self._say("guide", f"{self.method.title} has nothing to search: it takes no parameters; choose another.")
        elif wanted and not self.owners.owner and not searched:
            self._say("guide", f"Nothing of {self.method.title} is searched: name one of its parameters in the guide.")
        elif not merged and not searched:
            self._say("guide", "Nothing is merged: every component is left out or set to none; choose what to vary.")
        elif not searched:
            self._say("guide", "Nothing is left to search: every parameter is fixed; free at least one.")

    # Dimensions: what is set together

    def _dimensions(self, merged: tuple[str, ...]) -> list[_Dimension]:
        found: dict[str, _Dimension] = {}
        for parameter in self.method.parameters:
            for name in () if parameter.blocks else merged:
                chain = self.map.chain(name)
                # What only follows counts as the block that it is a part of.
                place = chain[1] if self.map.block(name).key is not None and not self.owners.names(name) else name
                label = self.owners.label(parameter.name, name)
                rest = place if self.owners.names(place) or parameter.by_block else chain[-1]
                dimension = _Dimension(label or rest, parameter, [], label is not None)
                dimension = found.setdefault(dimension.name, dimension)
                dimension.blocks.append(name)
                dimension.places.append(place)
            if parameter.blocks:
                owned = parameter.searched or parameter.name.casefold() in self.bounds
                found[parameter.name] = _Dimension(parameter.name, parameter, list(parameter.blocks), owned)
        return list(found.values())

    def _settle(
        self, dimension: _Dimension, searched: list[Parameter], settings: list[Setting], ties: list[Setting]
    ) -> None:
        parameter, name, blocks = dimension.parameter, dimension.name, tuple(dimension.blocks)
        bound = self._bound(dimension)
        if bound is None and not dimension.owned:
            if dimension.default is None:
                self._say("guide", f"{parameter.name} of {self.method.id} has no default; fix it or search it.")
            else:
                settings.append(Setting(name, dimension.default, parameter.name, blocks))
            return
        bound = bound or parameter.bound
        problem = bound.problem() or _kind_problem(parameter, bound)
        if dimension.point and bound.kind not in ("float", "int", "fixed"):
            problem = "the points of a curve are numbers within a range"
        curve = dimension.whole if dimension.point else ""
        if problem is not None:
            self._say(f"guide.bounds.{name}", f"The bound {bound} of {name} cannot be used: {problem}.")
        elif bound.kind not in ("fixed", "same"):
            searched.append(Parameter(name, bound, parameter.name, blocks, dimension.default, curve))
        else:
            value = bound.value if bound.value is not None else ""
            # A word can't be a tie to another word: it is the value itself.
            tie = bound.kind == "same" and parameter.kind != "str"
            value = float(value) if parameter.kind == "float" and not tie else value
            (ties if tie else settings).append(Setting(name, value, parameter.name, blocks, curve))

    # Bounds

    def _candidates(self, dimension: _Dimension) -> Iterator[str]:
        """Yield every key under which the guide may bound this dimension, the most specific first."""
        name, parameter = dimension.name.casefold(), dimension.parameter.name.casefold()
        if dimension.parameter.blocks:
            yield parameter
            return
        names = [name] if not dimension.point else [name, dimension.whole.casefold()]
        if dimension.owned:
            names.append(dimension.label.casefold())
            alone = [b for b in dimension.blocks if not set(self.map.chain(b)[1:]) & set(dimension.blocks)]
            if len(alone) == 1:
                names.append(alone[0].casefold())
        yield from names
        for key in sorted((k for k in self.bounds if any(sign in k for sign in WILDCARDS)), key=len, reverse=True):
            # What nothing searches is meant only where it is named: IN*: 0..1 must not reach the method's switches.
            # M* means blocks, although the keys of tensors begin with "model." too.
            meant = (n for n in names if "." not in n or "." in key or key.startswith("*"))
            if (dimension.owned or key.endswith(parameter)) and any(fnmatch.fnmatchcase(n, key) for n in meant):
                yield key
        yield parameter

    def _bound(self, dimension: _Dimension) -> Bound | None:
        found = None
        for candidate in self._candidates(dimension):
            key = self.bounds.get(candidate)
            if key is None:
                continue
            bound = self.guide.bounds[key]
            if not dimension.owned and bound.kind not in ("fixed", "same"):
                self.idle_bounds.setdefault(key, dimension.name)
                continue
            self.used_bounds.add(key)
            found = found or bound
        return found

    def _unused_bounds(self, dimensions: list[_Dimension]) -> None:
        setter = {}
        for dimension in dimensions:
            for block in () if dimension.parameter.blocks else dimension.blocks:
                setter[f"{block}_{dimension.parameter.name}".casefold()] = dimension.name
                setter.setdefault(block.casefold(), dimension.name)
        names = [dimension.name for dimension in dimensions] + [block.name for block in self.map.blocks]
        for key in self.guide.bounds:
            if key in self.used_bounds:
                continue
            where = f"guide.bounds.{key}"
            if key in self.idle_bounds:
                self._say(
                    where,
                    f"The bound {self.guide.bounds[key]} of '{key}' has no effect, because nothing searches "
                    f"{self.idle_bounds[key]}; name the parameter in a strategy, or fix it with =.",
                )
            elif key.casefold() in setter:
                self._say(
                    where,
                    f"'{key}' has no value of its own here, {setter[key.casefold()]} sets it; bound that, or name the "
                    "block in a strategy.",
                )
            else:
                self._say(where, f"The bound of '{key}' matches no parameter.{did_you_mean(key, names)}")


def _kind_problem(parameter: MethodParameter, bound: Bound) -> str | None:
    if bound.kind == "same":
        return None
    allowed: dict[str, tuple[type, ...]] = {"float": (int, float), "int": (int,), "bool": (bool,), "str": (str,)}
    values: tuple[Value | None, ...] = (bound.value,) if bound.kind == "fixed" else bound.choices
    if bound.kind in ("fixed", "choice"):
        for value in values:
            if not isinstance(value, allowed[parameter.kind]) or (isinstance(value, bool) and parameter.kind != "bool"):
                return f"{parameter.name} takes {parameter.kind} values, not {value!r}"
        return None
    wanted = {"float": "float", "int": "int", "bool": "bool", "str": "choice"}[parameter.kind]
    if bound.kind == wanted or (parameter.kind == "float" and bound.kind == "int"):
        return None
    return f"{parameter.name} takes {parameter.kind} values"
