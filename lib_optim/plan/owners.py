"""Who sets what: the strategies of a guide, applied in order."""

from __future__ import annotations

from collections.abc import Sequence

from lib_optim.plan.blocks import Block, BlockMap
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import ComponentGuide, Curve, Guide, Strategy
from lib_optim.plan.matching import match_blocks
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.plan.nearest import did_you_mean

__all__ = ["WILDCARDS", "Owners"]

WILDCARDS = ("*", "?", "[")
FEWEST_POINTS, MOST_POINTS = 2, 8


class Owners:
    """The outcome of the strategies.

    Attributes:
        owner: (method parameter, block) to the label of the dimension that sets it: a block, group or component.
        curves: (method parameter, label) to the curve over its blocks, for those that have one.
        kept: Blocks that stay as in the base.
        problems: What is wrong with the guide; where there are any, the rest means nothing.
    """

    def __init__(self, guide: Guide, method: MergeMethod, blocks: BlockMap) -> None:
        self.method, self.map = method, blocks
        self.owner: dict[tuple[str, str], str] = {}
        self.curves: dict[tuple[str, str], Curve] = {}
        self.kept: set[str] = set()
        self.problems: list[Problem] = []
        self._groups: dict[str, str] = {}
        names = [component.component for component in guide.components]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._say(f"The guide lists the component '{name}' twice; put its strategies into one list.")
        for component in guide.components:
            self._component(component)

    def names(self, block: str) -> bool:
        """Tell whether a strategy names this very block, rather than one that it follows."""
        return any((parameter.name, block) in self.owner for parameter in self.method.parameters)

    def label(self, parameter: str, block: str) -> str | None:
        """Return what sets `parameter` in `block`, itself or as the follower of another; None if nothing does."""
        owners = (self.owner.get((parameter, name)) for name in self.map.chain(block))
        return next((owner for owner in owners if owner is not None), None)

    def merges(self, block: Block) -> bool:
        """Tell whether `block` is merged at all."""
        own = {block.name} if block.key is None else {block.name, block.follows}  # a tensor is part of its block
        for name in self.map.chain(block.name):
            if name in self.kept:
                return False
            if self.names(name) or (name in own and name in self.method.blocks):
                return True
        return False

    def _say(self, sentence: str) -> None:
        self.problems.append(Problem("guide", sentence))

    def _component(self, guide: ComponentGuide) -> None:
        blocks = self.map.of_component(guide.component)
        if not blocks:
            known = self.map.components
            self._say(
                f"'{guide.component}' is not a component of {self.map.id} ({', '.join(known)})."
                f"{did_you_mean(guide.component, known)}",
            )
            return
        # "all" means the rest
        for strategy in sorted(guide.strategies, key=lambda s: s.type == "all"):
            try:
                self._strategy(guide.component, strategy, blocks)
            except PlanError as error:
                self.problems.extend(error.problems)

    def _strategy(self, component: str, strategy: Strategy, blocks: tuple[Block, ...]) -> None:
        self._misplaced(component, strategy)
        parameters = self._parameters(strategy)
        leaders = tuple(block.name for block in blocks if block.follows is None)
        if strategy.type == "group":
            for group in strategy.groups:
                label = self._group_label(group.name)
                self._bend(strategy, parameters, label)
                self._take(parameters, match_blocks(group.blocks, blocks, component), label, f"group {label}")
            return
        chosen = match_blocks(strategy.blocks, blocks, component) if strategy.blocks else ()
        what = f"{strategy.type} strategy of {component}"
        if strategy.type == "none":
            free = set(chosen or (block.name for block in blocks)) - {block for _, block in self.owner}
            if not free:
                self._say(f"The {what} has no effect: an earlier strategy takes all of its blocks.")
            self.kept |= free
        elif strategy.type == "single":
            taken = {(name, label) for (name, _), label in self.owner.items()}
            if any((parameter.name, component) in taken for parameter in parameters):
                self._say(
                    f"Two single strategies of {component} would share one value; use a group strategy, whose groups "
                    "have names of their own.",
                )
            self._bend(strategy, parameters, component)
            self._take(parameters, chosen or leaders, component, what)
        elif strategy.type == "select":
            self._take(parameters, chosen, None, what)
        else:
            self._take(parameters, leaders, None, None)

    def _misplaced(self, component: str, strategy: Strategy) -> None:
        """Say which fields a strategy lacks, or has without effect."""
        kind = strategy.type
        if kind == "group" and not strategy.groups:
            self._say(f"A group strategy of {component} lists no groups.")
        if kind == "select" and not strategy.blocks:
            self._say(f"A select strategy of {component} names no blocks.")
        if kind != "group" and strategy.groups:
            self._say(f"The {kind} strategy of {component} lists groups, which only a group strategy reads.")
        if kind in ("all", "group") and strategy.blocks:
            self._say(f"The {kind} strategy of {component} lists blocks, which it does not read; use select.")
        if strategy.curve is not None and kind not in ("single", "group"):
            self._say(f"The {kind} strategy of {component} has a curve, which only single and group take.")
        if kind == "none" and strategy.parameters:
            self._say(f"The none strategy of {component} lists parameters, but it keeps whole blocks.")

    def _bend(self, strategy: Strategy, parameters: list[MethodParameter], label: str) -> None:
        """Note the curve of `label`, or that it has none."""
        curve = strategy.curve
        if curve is not None and not FEWEST_POINTS <= curve.points <= MOST_POINTS:
            self._say(f"A curve takes {FEWEST_POINTS} to {MOST_POINTS} points, not {curve.points}.")
            return
        for parameter in parameters:
            taken = any((name, owner) == (parameter.name, label) for (name, _), owner in self.owner.items())
            if taken and self.curves.get((parameter.name, label)) != curve:
                self._say(f"'{label}' stands in two strategies, of which one has another curve; give both the same.")
            elif curve is not None and parameter.kind != "float":
                self._say(
                    f"A curve takes numbers, and {parameter.name} takes {parameter.kind} values; name the parameters "
                    "that the curve is for."
                )
            elif curve is not None:
                self.curves[parameter.name, label] = curve

    def _group_label(self, name: str) -> str:
        """Return the spelling of `name` that came first: groups of one name share one value."""
        reserved = {*(block.name.casefold() for block in self.map.blocks), *self.map.components}
        if not name.strip() or any(sign in name for sign in WILDCARDS):
            self._say(f"'{name}' cannot be the name of a group; use letters and digits.")
        elif name.casefold() in reserved:
            self._say(f"A group cannot be called '{name}', which is the name of a block or component.")
        return self._groups.setdefault(name.casefold(), name)

    def _take(
        self, parameters: list[MethodParameter], blocks: Sequence[str], label: str | None, what: str | None
    ) -> None:
        """Give `blocks` to the dimension `label` (None: to one of its own each); `what` must get at least one."""
        got = False
        for block in blocks:
            if block in self.kept:
                continue
            for parameter in parameters:
                if (parameter.name, block) not in self.owner:
                    self.owner[parameter.name, block] = label or block
                    got = True
        if what is not None and blocks and parameters and not got:
            self._say(f"The {what} has no effect: an earlier strategy takes all of its blocks.")

    def _parameters(self, strategy: Strategy) -> list[MethodParameter]:
        if not strategy.parameters:
            return [p for p in self.method.parameters if p.searched and not p.blocks]
        chosen = []
        for name in strategy.parameters:
            parameter = self.method.parameter(name)
            if parameter is None:
                known = [p.name for p in self.method.parameters]
                self._say(
                    f"'{name}' is not a parameter of {self.method.id} ({', '.join(known) or 'it has none'})."
                    f"{did_you_mean(name, known)}",
                )
            elif parameter.blocks:
                self._say(
                    f"'{name}' has one value in the whole model, so no strategy takes it; it is searched by itself, "
                    "and the guide's bounds may narrow or fix it."
                )
            else:
                chosen.append(parameter)
        return chosen
