"""Merge methods as data. `lib_optim.merging.methods` fills these rows from sd-mecha's own signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.noun import Noun

__all__ = ["MergeMethod", "MethodChoice", "MethodParameter"]


@dataclass(frozen=True)
class MethodParameter(Noun):
    """One number, switch or word that a merge method takes.

    Attributes:
        name: As in the method's signature (``alpha``).
        kind: Type of its values.
        default: The method's own default, or None where it must be given.
        bound: Where a search looks unless the guide says otherwise; sd-mecha states no ranges, so this
            is ours.
        searched: Whether a guide that names no parameters varies this one.
        blocks: Blocks that hold the few tensors it acts on, for a parameter that has one value in the whole model
            and is searched unless the guide fixes it; empty for one that the guide gives to blocks.
        by_block: Where its default differs from block to block: block to default.
    """

    name: str
    kind: Literal["float", "int", "bool", "str"]
    default: Value | None
    bound: Bound
    searched: bool = True
    blocks: tuple[str, ...] = ()
    by_block: Mapping[str, Value] = field(default_factory=dict)

    def default_of(self, blocks: Sequence[str]) -> Value | None:
        """Return the default of a value that `blocks` share; of different numbers the mean, of other values None."""
        values = [self.by_block[block] for block in blocks if block in self.by_block]
        if all(value == values[0] for value in values):
            return values[0] if values else self.default
        numbers = [float(value) for value in values if isinstance(value, float)]
        return sum(numbers) / len(numbers) if len(numbers) == len(values) else None


@dataclass(frozen=True)
class MethodChoice(Noun):
    """One of the methods between which the trials of a run choose.

    Attributes:
        id: Its identifier.
        title: As shown.
        names: Its own parameters to what they are called in the run.
    """

    id: str
    title: str
    names: Mapping[str, str]


@dataclass(frozen=True)
class MergeMethod(Noun):
    """One merge method.

    Attributes:
        id: Stable identifier, sd-mecha's where it has one.
        title: As shown.
        formula: One line in the words of the field, e.g. ``A·(1−alpha) + B·alpha``.
        min_models: Fewest models it takes, the base included.
        max_models: Most models, or None for any number.
        parameters: What can be varied or fixed.
        stochastic: Draws random numbers; its seed comes from the plan.
        blocks: Blocks that are merged whether or not the guide varies something in them; empty for a method that
            merges only what the guide names. A guide's ``none`` keeps a block in any case.
        recipe: The text it was read from, for a method made of a recipe.
        adjusted: Whether the layer adjustment follows the merge.
        choices: The methods of which each trial takes one (`lib_optim.merging.choice`); empty for one method.
    """

    id: str
    title: str
    formula: str
    min_models: int
    max_models: int | None
    parameters: tuple[MethodParameter, ...]
    stochastic: bool = False
    blocks: tuple[str, ...] = ()
    recipe: str = ""
    adjusted: bool = False
    choices: tuple[MethodChoice, ...] = ()

    def takes(self, models: int) -> bool:
        """Tell whether the method takes this many models."""
        return self.min_models <= models and (self.max_models is None or models <= self.max_models)

    def parameter(self, name: str) -> MethodParameter | None:
        """Return the parameter called `name`, or None."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)
