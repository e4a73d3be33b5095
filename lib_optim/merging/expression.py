"""Recipes that are sums of models times numbers: the part of a graph that can be computed in one pass over memory.

A merge method reads as a tree whose leaves are models. Where every inner node is a linear step (`weighted_sum`,
`add_difference`, `subtract`), one pass that keeps its intermediate values in the processor's cache does. A sub-tree
that no searched parameter touches is a *constant*: computed once per run, from then on it is a leaf like a model. That
makes a lerp of TIES, DARE, model stock, averages and all other methods whose searched number stands outside of the
hard work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lib_optim.merging.executor import Step, compile_step

__all__ = ["Constant", "Expression", "Linear", "ModelLeaf", "Weight", "expression_of", "keeps_equals", "leaves_of"]

Weight = str | float
"""The name of a parameter, or a number that stands in the graph."""


@dataclass(frozen=True)
class ModelLeaf:
    """The tensor of a model."""

    index: int


@dataclass(frozen=True)
class Constant:
    """A sub-graph without searched parameters.

    Attributes:
        step: Computes it, in fp32.
        inside: The same as a tree of linear steps, for when there is no room to keep it; None if it is none.
        number: Tells the constants of a recipe apart.
    """

    step: Step
    inside: Expression | None
    number: int


@dataclass(frozen=True)
class Linear:
    """One linear step: ``lerp(x, y, weight)``, ``x + y·weight`` or ``x − y`` (which has no weight)."""

    kind: Literal["lerp", "add", "subtract"]
    x: Expression
    y: Expression
    weight: Weight = 1.0


Expression = ModelLeaf | Constant | Linear

_KINDS: Mapping[str, Literal["lerp", "add", "subtract"]] = {
    "weighted_sum": "lerp", "add_difference": "add", "subtract": "subtract",
}  # fmt: skip


def expression_of(
    recipe: Any, models: Sequence[Any], parameters: Mapping[str, Any], searched: Collection[str]
) -> Expression | None:
    """Return a recipe graph as an expression.

    Args:
        recipe: As `build_recipe` makes it.
        models: The model nodes in it, by index.
        parameters: The placeholder nodes in it, by parameter.
        searched: Parameters that may differ from trial to trial; all others stay.

    Returns:
        The expression, or None where a step that is not linear depends on a searched parameter.

    Raises:
        TypeError: As `compile_recipe`.
    """
    return _Builder(models, parameters, searched).build(recipe)


def leaves_of(expression: Expression) -> Iterator[ModelLeaf | Constant]:
    """Yield the leaves from left to right, one that occurs twice twice."""
    if isinstance(expression, Linear):
        yield from leaves_of(expression.x)
        yield from leaves_of(expression.y)
    else:
        yield expression


def keeps_equals(expression: Expression) -> bool:
    """Tell whether models that all hold the same tensor give it, whatever the weights are; bit for bit but for -0.0."""
    return _of_equals(expression) == "same"


def _of_equals(expression: Expression) -> Literal["same", "zero", "unknown"]:
    if isinstance(expression, ModelLeaf):
        return "same"
    if isinstance(expression, Constant):
        return "unknown" if expression.inside is None else _of_equals(expression.inside)
    known = (_of_equals(expression.x), _of_equals(expression.y))
    if known == ("same", "same"):
        return {"lerp": "same", "subtract": "zero", "add": "unknown"}[expression.kind]  # type: ignore[return-value]
    return "same" if expression.kind == "add" and known == ("same", "zero") else "unknown"


class _Builder:
    def __init__(self, models: Sequence[Any], parameters: Mapping[str, Any], searched: Collection[str]) -> None:
        self.models, self.parameters, self.searched = models, parameters, searched
        self.model_of = {id(node): i for i, node in enumerate(models)}
        self.parameter_of = {id(node): name for name, node in parameters.items()}
        self.numbers: dict[int, int] = {}  # a node that is used twice is one constant

    def build(self, node: Any) -> Expression | None:
        if id(node) in self.model_of:
            return ModelLeaf(self.model_of[id(node)])
        if self._depends(node):
            return self._linear(node)
        number = self.numbers.setdefault(id(node), len(self.numbers))
        return Constant(compile_step(node, self.models, self.parameters), self._linear(node), number)

    def _linear(self, node: Any) -> Linear | None:
        kind = _KINDS.get(node.merge_method.identifier) if hasattr(node, "merge_method") else None
        if kind is None or node.bound_args.kwargs:
            return None
        first, second, *more = node.bound_args.args
        x, y = self.build(first), self.build(second)
        weight = self._weight(more[0]) if more else 1.0
        if x is None or y is None or weight is None:
            return None
        return Linear(kind, x, y, weight)

    def _weight(self, node: Any) -> Weight | None:
        if id(node) in self.parameter_of:
            return self.parameter_of[id(node)]
        if hasattr(node, "merge_method") and node.merge_method.identifier == "convert_singleton":
            value = node.bound_args.args[0].value_dict["key"]
            return float(value) if isinstance(value, int | float) else None
        return None  # a mask, or a number computed from tensors

    def _depends(self, node: Any) -> bool:
        if id(node) in self.parameter_of:
            return self.parameter_of[id(node)] in self.searched
        if not hasattr(node, "bound_args"):
            return False
        arguments = node.bound_args
        return any(self._depends(child) for child in (*arguments.args, *arguments.kwargs.values()))
