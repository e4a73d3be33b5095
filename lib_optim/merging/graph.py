"""Recipes of others as graphs: read, with every number that could be optimised, and built anew with other numbers.

What is read is sd-mecha's own graph, not its text. The models keep the order base first, then as they occur; the base
is what the recipe falls back to at its very end, else its first model. Layer adjustments at the end are taken off and
stand for themselves (`adjust`), because Optim applies its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from lib_optim.merging.mecha import sd_mecha
from lib_optim.plan.bounds import Value

__all__ = ["Edge", "GraphInput", "RecipeGraph", "model_name"]


Edge = tuple[int, "int | str"]


@dataclass(frozen=True)
class GraphInput:
    """One number, switch or word that a merge node of a recipe takes.

    Attributes:
        name: Unique in the recipe: ``weighted_sum_alpha``, ``weighted_sum2_alpha``.
        method: Identifier of the node's method.
        parameter: As in the method's signature.
        kind: Type that the method takes.
        value: What the recipe gives: one value, or one per key (sd-mecha's names), where keys may be missing.
    """

    name: str
    method: str
    parameter: str
    kind: type
    value: Value | Mapping[str, Value] | None


@dataclass(frozen=True)
class RecipeGraph:
    """A recipe.

    Attributes:
        models: Names of its models as they stand in it, the base first.
        config: sd-mecha's name of their architecture, or an empty string where the recipe does not say.
        inputs: Its inputs, those of inner nodes first.
        adjust: What a layer adjustment at its end gives, or None where there is none.
    """

    models: tuple[str, ...]
    config: str
    inputs: tuple[GraphInput, ...]
    adjust: Mapping[str, float] | None
    _root: Any
    _edges: Mapping[Edge, GraphInput]
    _names: Mapping[int, str]

    def input(self, name: str) -> GraphInput | None:
        """Return the input called `name`, or None."""
        return next((row for row in self.inputs if row.name == name), None)

    def build(self, models: Sequence[Any], values: Mapping[str, Any]) -> Any:
        """Return the graph on other model nodes, and with `values` (nodes or plain) for inputs by name.

        Inputs without a value keep the recipe's.
        """
        built: dict[int, Any] = {}

        def node_of(node: Any) -> Any:
            if id(node) not in built:
                built[id(node)] = make(node)
            return built[id(node)]

        def make(node: Any) -> Any:
            if hasattr(node, "path"):
                return models[self.models.index(model_name(node))]
            if not hasattr(node, "merge_method"):
                return node
            arguments = node.bound_args
            args = [child(node, i, arg) for i, arg in enumerate(arguments.args)]
            return node.merge_method(*args, **{key: child(node, key, arg) for key, arg in arguments.kwargs.items()})

        def child(node: Any, place: int | str, arg: Any) -> Any:
            row = self._edges.get((id(node), place))
            if row is None:
                return node_of(arg)
            value = values.get(row.name, row.value)
            if isinstance(value, Mapping):
                return _table_node(value, models[0])
            return value

        return node_of(self._root)

    def tree(self) -> Iterator[tuple[int, str, str]]:
        """Yield (depth, title, what): its nodes from the last step down; what is ``node``, ``model`` or ``again``."""
        seen: set[int] = set()

        def walk(node: Any, depth: int) -> Iterator[tuple[int, str, str]]:
            if hasattr(node, "path"):
                yield depth, model_name(node), "model"
                return
            name = self._names.get(id(node))
            if name is None:
                return
            again = id(node) in seen
            yield depth, name, "again" if again else "node"
            if again:
                return
            seen.add(id(node))
            for arg in (*node.bound_args.args, *node.bound_args.kwargs.values()):
                yield from walk(arg, depth + 1)

        return walk(self._root, 0)


def _table_node(table: Mapping[str, Value], model: Any) -> Any:
    """Return values per key as a node; one value where the models are made up (`selfcheck`) and have other keys."""
    if model.model_config is None:
        return next(iter(table.values()))
    return sd_mecha().literal(dict(table), model.model_config, "param")


def model_name(node: Any) -> str:
    """Return what a recipe calls the model of a node, with ``/``."""
    return str(PurePosixPath(str(node.path).replace("\\", "/")))
