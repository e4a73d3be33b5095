"""The search space: what `Guide` + `MergeMethod` + `BlockMap` come to, parameter by parameter."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lib_optim.plan.blocks import Block, BlockMap
from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.noun import Noun

__all__ = ["Parameter", "Setting", "Space", "match_blocks", "space_of"]


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
    """

    parameters: tuple[Parameter, ...]
    settings: tuple[Setting, ...]
    merged_blocks: tuple[str, ...]

    def assign(self, values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
        """Turn one point of the space into ``{method parameter: {block: value}}``, for every merged block.

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


def match_blocks(patterns: Iterable[str], blocks: tuple[Block, ...], where: str) -> tuple[str, ...]:
    """Return the names of `blocks` that `patterns` select, in block order.

    A pattern is a name, a wildcard (``IN*``), or a range (``IN00-IN05``); case does not matter.

    Raises:
        PlanError: A pattern that matches nothing; names the nearest block.
    """
    names = [block.name for block in blocks]
    chosen: set[str] = set()
    problems: list[Problem] = []
    for pattern in patterns:
        found = _match(pattern.strip(), names)
        if not found:
            problems.append(Problem(where, f"'{pattern}' matches no block of {where}.{did_you_mean(pattern, names)}"))
        chosen.update(found)
    if problems:
        raise PlanError(problems)
    return tuple(name for name in names if name in chosen)


def _match(pattern: str, names: list[str]) -> list[str]:
    folded = [name.casefold() for name in names]
    span = re.fullmatch(r"(\w+)\s*-\s*(\w+)", pattern)
    if span and span[1].casefold() in folded and span[2].casefold() in folded:
        low, high = sorted((folded.index(span[1].casefold()), folded.index(span[2].casefold())))
        return names[low : high + 1]
    return [name for name in names if fnmatch.fnmatchcase(name.casefold(), pattern.casefold())]


def space_of(guide: Guide, method: MergeMethod, blocks: BlockMap) -> Space:
    """Derive the space.

    Overlaps: within a component the first strategy that names a block gets it, for the method parameters it
    concerns. A block with ``follows`` that no strategy names by itself takes its leader's values. A method
    parameter that no strategy covers for a merged block takes the bound the guide gives it if that is
    fixed, else the method's default.

    Raises:
        PlanError: Unknown component, block or parameter; an empty match; bounds that make no sense, match no
            parameter, or do not fit the parameter's type; nothing left to search or to merge.
    """
    return _Builder(guide, method, blocks).build()


class _Builder:
    def __init__(self, guide: Guide, method: MergeMethod, blocks: BlockMap) -> None:
        self.guide, self.method, self.map = guide, method, blocks
        self.problems: list[Problem] = []
        # (method parameter, block) -> name of the dimension that sets it
        self.owner: dict[tuple[str, str], str] = {}
        self.kept: set[str] = set()
        self.explicit: set[str] = set()  # blocks with `follows` that were named by themselves
        self.used_bounds: set[str] = set()

    def build(self) -> Space:
        for component in self.guide.components:
            self._component(component)
        merged = self._merged_blocks()
        members: dict[str, tuple[MethodParameter, list[str]]] = {}
        for parameter in self.method.parameters:
            for block in merged:
                leader = self._leader(block)
                name = self.owner.get((parameter.name, block)) or self.owner.get((parameter.name, leader))
                members.setdefault(name or f"{leader}_{parameter.name}", (parameter, []))[1].append(block)
        searched: list[Parameter] = []
        settings: list[Setting] = []
        owners = set(self.owner.values())
        for name, (parameter, names) in members.items():
            self._dimension(name, parameter, tuple(names), name in owners, searched, settings)
        self._resolve_same(searched, settings)
        self._unused_bounds(members)
        if not merged and not self.problems:
            self._say("guide", "Nothing is merged: every component is left out or set to none; choose what to vary.")
        if merged and not searched and not self.problems:
            self._say("guide", "Nothing is left to search: every parameter is fixed; free at least one.")
        if self.problems:
            raise PlanError(self.problems)
        order = {block.name: i for i, block in enumerate(self.map.blocks)}
        searched.sort(key=lambda p: min(order[b] for b in p.blocks))
        return Space(tuple(searched), tuple(settings), merged)

    def _say(self, where: str, sentence: str) -> None:
        self.problems.append(Problem(where, sentence))

    def _component(self, guide: ComponentGuide) -> None:
        blocks = self.map.of_component(guide.component)
        if not blocks:
            known = self.map.components
            self._say(
                "guide",
                f"'{guide.component}' is not a component of {self.map.id} ({', '.join(known)})."
                f"{did_you_mean(guide.component, known)}",
            )
            return
        strategies = sorted(guide.strategies, key=lambda s: s.type == "all")  # "all" means the rest
        for strategy in strategies:
            try:
                self._strategy(guide.component, strategy, blocks)
            except PlanError as error:
                self.problems.extend(error.problems)

    def _strategy(self, component: str, strategy: Strategy, blocks: tuple[Block, ...]) -> None:
        parameters = self._parameters(strategy)
        names = [block.name for block in blocks]
        leaders = tuple(block.name for block in blocks if block.follows is None)
        if strategy.type == "group":
            if not strategy.groups:
                self._say("guide", f"A group strategy of {component} lists no groups.")
            for group in strategy.groups:
                self._take(parameters, match_blocks(group.blocks, blocks, component), group.name)
            return
        chosen = match_blocks(strategy.blocks, blocks, component) if strategy.blocks else ()
        if strategy.type == "select" and not strategy.blocks:
            self._say("guide", f"A select strategy of {component} names no blocks.")
        if strategy.type == "none":
            self.kept.update(chosen or names)
        elif strategy.type == "single":
            self._take(parameters, chosen or leaders, component)
        else:
            for name in chosen if strategy.type == "select" else leaders:
                self._take(parameters, (name,), name)

    def _take(self, parameters: list[MethodParameter], blocks: tuple[str, ...], label: str) -> None:
        for block in blocks:
            if self.map.block(block).follows is not None:
                self.explicit.add(block)
            for parameter in parameters:
                self.owner.setdefault((parameter.name, block), f"{label}_{parameter.name}")

    def _parameters(self, strategy: Strategy) -> list[MethodParameter]:
        if not strategy.parameters:
            return [p for p in self.method.parameters if p.searched]
        chosen = []
        for name in strategy.parameters:
            parameter = self.method.parameter(name)
            if parameter is None:
                known = [p.name for p in self.method.parameters]
                self._say(
                    "guide",
                    f"'{name}' is not a parameter of {self.method.id} ({', '.join(known) or 'it has none'})."
                    f"{did_you_mean(name, known)}",
                )
            else:
                chosen.append(parameter)
        return chosen

    def _leader(self, block: str) -> str:
        follows = self.map.block(block).follows
        return follows if follows is not None and block not in self.explicit else block

    def _merged_blocks(self) -> tuple[str, ...]:
        taken = {block for _, block in self.owner}
        # A method without searched parameters still merges every component that the guide lists.
        for component in self.guide.components:
            if not self.owner and any(s.type != "none" for s in component.strategies):
                taken.update(block.name for block in self.map.of_component(component.component))
        return tuple(
            block.name
            for block in self.map.blocks
            if block.name not in self.kept and (block.name in taken or self._leader(block.name) in taken)
            and self._leader(block.name) not in self.kept
        )  # fmt: skip

    def _dimension(
        self,
        name: str,
        parameter: MethodParameter,
        blocks: tuple[str, ...],
        owned: bool,
        searched: list[Parameter],
        settings: list[Setting],
    ) -> None:
        bound = self._bound(name, parameter, blocks)
        if bound is None:
            if owned:
                searched.append(Parameter(name, parameter.bound, parameter.name, blocks, parameter.default))
            elif parameter.default is None:
                self._say("guide", f"{parameter.name} of {self.method.id} has no default; fix it or search it.")
            else:
                settings.append(Setting(name, parameter.default, parameter.name, blocks))
            return
        problem = bound.problem() or _kind_problem(parameter, bound)
        if problem is not None:
            self._say(f"guide.bounds.{name}", f"The bound {bound} of {name} cannot be used: {problem}.")
        elif bound.kind in ("fixed", "same"):
            value = bound.value if bound.value is not None else ""
            value = float(value) if bound.kind == "fixed" and parameter.kind == "float" else value
            settings.append(Setting(name, value, parameter.name, blocks))
        else:
            searched.append(Parameter(name, bound, parameter.name, blocks, parameter.default))

    def _bound(self, name: str, parameter: MethodParameter, blocks: tuple[str, ...]) -> Bound | None:
        bounds = {key.casefold(): key for key in self.guide.bounds}
        exact = [name.casefold(), *(block.casefold() for block in blocks[:1]), name.rsplit("_", 1)[0].casefold()]
        wild = sorted((k for k in bounds if "*" in k or "?" in k or "[" in k), key=len, reverse=True)
        matching = [k for k in wild if fnmatch.fnmatchcase(name.casefold(), k)]
        matching += [k for k in wild if k not in matching and fnmatch.fnmatchcase(exact[1], k)]
        found = None
        for candidate in (*exact, *matching, parameter.name.casefold()):
            if candidate in bounds:
                self.used_bounds.add(bounds[candidate])
                found = found or self.guide.bounds[bounds[candidate]]
        return found

    def _unused_bounds(self, members: Mapping[str, object]) -> None:
        for key in self.guide.bounds:
            if key not in self.used_bounds:
                names = [*members, *(block.name for block in self.map.blocks)]
                self._say(
                    f"guide.bounds.{key}", f"The bound of '{key}' matches no parameter.{did_you_mean(key, names)}"
                )

    def _resolve_same(self, searched: list[Parameter], settings: list[Setting]) -> None:
        """Turn ``=IN05`` into membership of that dimension (or a copy of that fixed value)."""
        ties = {s.name for s in settings if self._is_tie(s)}
        for i in reversed(range(len(settings))):
            tie = settings[i]
            if tie.name not in ties:
                continue
            wanted = str(tie.value)
            names = {f"{wanted}_{tie.method_parameter}".casefold(), wanted.casefold()}
            j = next((j for j, p in enumerate(searched) if p.name.casefold() in names), None)
            fixed = next((s for s in settings if s.name.casefold() in names and s.name not in ties), None)
            if j is not None:
                p = searched[j]
                searched[j] = Parameter(p.name, p.bound, p.method_parameter, p.blocks + tie.blocks, p.default)
                del settings[i]
            elif fixed is not None:
                settings[i] = Setting(tie.name, fixed.value, tie.method_parameter, tie.blocks)
            else:
                known = [p.name for p in searched]
                self._say(
                    f"guide.bounds.{tie.name}",
                    f"{tie.name} is tied to '{wanted}', which is neither searched nor fixed by itself."
                    f"{did_you_mean(wanted, known)}",
                )

    def _is_tie(self, setting: Setting) -> bool:
        parameter = self.method.parameter(setting.method_parameter)
        return isinstance(setting.value, str) and parameter is not None and parameter.kind != "str"


def _kind_problem(parameter: MethodParameter, bound: Bound) -> str | None:
    if bound.kind == "same":
        return None
    allowed: dict[str, tuple[type, ...]] = {"float": (int, float), "int": (int,), "bool": (bool,), "str": (str,)}
    values = (bound.value,) if bound.kind == "fixed" else bound.choices
    if bound.kind in ("fixed", "choice"):
        for value in values:
            if not isinstance(value, allowed[parameter.kind]) or (isinstance(value, bool) and parameter.kind != "bool"):
                return f"{parameter.name} takes {parameter.kind} values, not {value!r}"
        return None
    wanted = {"float": "float", "int": "int", "bool": "bool", "str": "choice"}[parameter.kind]
    if bound.kind == wanted or (parameter.kind == "float" and bound.kind == "int"):
        return None
    return f"{parameter.name} takes {parameter.kind} values"
