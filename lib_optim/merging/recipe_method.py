"""A recipe as a merge method: its models are the run's models, its numbers the method's parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from lib_optim.merging.graph import GraphInput, RecipeGraph
from lib_optim.merging.graph_reader import read_graph
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.table import BOUNDS, ROW_BOUNDS
from lib_optim.plan.adjust import ADJUSTMENTS
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.blocks import BlockMap, block_map
from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.errors import PlanError
from lib_optim.plan.methods import MergeMethod, MethodParameter

__all__ = ["RECIPE", "recipe_method", "seeds_in"]

RECIPE = "recipe"
"""Id of the method that a plan with a recipe names."""

Kind = Literal["float", "int", "bool"]


def recipe_method(
    text: str, architecture: Architecture | None, present: Collection[str] = (), named: Collection[str] = ()
) -> MergeMethod:
    """Return a recipe as a merge method: its models are the plan's, its inputs are the parameters.

    Everything that the recipe merges is merged, varied or not; other blocks where the guide varies something in them.
    A table of values that differ inside of a block stays as it is, and is a parameter only where the guide names it,
    which then replaces the table.

    Args:
        text: The recipe.
        architecture: Of its models; without it there are no parameters and blocks.
        present: As `plan_method`.
        named: Names that the guide uses.

    Raises:
        PlanError: The recipe cannot be used, or is for models of another architecture.
    """
    if not text.strip():
        raise PlanError("The plan's method is a recipe, but it holds none; choose a .mecha file.")
    graph = read_graph(text)
    count = len(graph.models)
    method = MergeMethod(RECIPE, "Recipe", _formula(graph), count, count, (), bool(seeds_in(graph)), recipe=text)
    if architecture is None or architecture.block_map is None or architecture.mecha_config is None:
        return method
    if graph.config and graph.config != architecture.mecha_config:
        raise PlanError(
            f"The recipe is for models that sd-mecha calls {graph.config}, and these are {architecture.title}; choose "
            "models of its kind."
        )
    blocks = _keys_of_blocks(architecture.mecha_config, block_map(architecture.block_map), present)
    pairs = [(row, _parameter(row, blocks)) for row in graph.inputs]
    parameters = tuple(
        p for row, p in pairs if p is not None and (p.default is not None or p.by_block or row.name in named)
    )
    given = [_blocks_given(row.value, blocks) for row in graph.inputs if isinstance(row.value, Mapping)]
    merged = tuple(name for name, keys in blocks.items() if keys and all(name in names for names in given))
    method = replace(method, parameters=parameters, blocks=merged)
    if graph.adjust is None:
        return method
    return replace(method, parameters=(*parameters, *_fixed_adjustment(graph.adjust)), adjusted=True)


def _is_seed(row: GraphInput) -> bool:
    return row.parameter == "seed" or row.parameter.endswith("_seed")


def seeds_in(graph: RecipeGraph) -> tuple[str, ...]:
    """Return the inputs that take a seed and have none, so that the plan's is used."""
    return tuple(row.name for row in graph.inputs if _is_seed(row) and row.value is None)


def _formula(graph: RecipeGraph) -> str:
    steps = [title for _, title, what in graph.tree() if what == "node"]
    return " of ".join(steps[:4]) + (" …" if len(steps) > 4 else "")


def _parameter(row: GraphInput, blocks: Mapping[str, Sequence[str]]) -> MethodParameter | None:
    """Return what can be searched of an input, or None. Without default and `by_block` where its values differ inside
    of a block."""
    values = list(row.value.values()) if isinstance(row.value, Mapping) else [row.value]
    numbers = [value for value in values if isinstance(value, bool | int | float)]
    if _is_seed(row) or row.kind is str or len(numbers) < len(values):
        return None
    kind: Kind = "bool" if row.kind is bool else "int" if row.kind is int else "float"
    bound, searched = _bound(row, kind, numbers)
    if isinstance(row.value, Mapping):
        table = _regular(row.value, blocks)
        typed = {block: _typed(kind, value) for block, value in table.items()}
        return MethodParameter(row.name, kind, None, bound, searched and bool(table), by_block=typed)
    return MethodParameter(row.name, kind, _typed(kind, numbers[0]), bound, searched)


def _typed(kind: Kind, value: Value) -> Value:
    return float(value) if kind == "float" else value


def _bound(row: GraphInput, kind: Kind, values: Sequence[float]) -> tuple[Bound, bool]:
    """Return where to look, wide enough for the recipe's own values, and whether a tick is set at first."""
    if kind == "bool":
        return Bound("bool"), False
    entry = ROW_BOUNDS.get(row.method, {}).get(row.parameter) or BOUNDS.get(row.parameter)
    known, searched = entry or (None, False)
    if known is None or known.kind != kind:
        high = 1.0 if kind == "float" else float(max(10, 2 * max(values)))
        known, searched = Bound(kind, 0.0, high), False
    return _reaching(known, values), searched


def _reaching(bound: Bound, values: Sequence[float]) -> Bound:
    low, high = min(bound.low or 0.0, *values), max(bound.high or 0.0, *values)
    return replace(bound, low=float(low), high=float(high), log=bound.log and low > 0)


def _regular(table: Mapping[str, Value], blocks: Mapping[str, Sequence[str]]) -> dict[str, Value]:
    """Return values per key as values per block; nothing if they differ inside of a block, or give only part of one."""
    found: dict[str, Value] = {}
    for block, keys in blocks.items():
        values = {table.get(key) for key in keys}
        if len(values) > 1:
            return {}
        value = values.pop() if values else None
        if value is not None:
            found[block] = value
    return found


def _keys_of_blocks(config: str, blocks: BlockMap, present: Collection[str]) -> dict[str, list[str]]:
    """Return the floating tensors of every block by sd-mecha's names; those absent from A's file do not count."""
    known = sd_mecha().extensions.model_configs.resolve(config).keys()
    return blocks.by_block(
        key for key, info in known.items() if info.dtype.is_floating_point and (not present or key in present)
    )


def _blocks_given(table: Mapping[str, Value], blocks: Mapping[str, Sequence[str]]) -> set[str]:
    return {block for block, keys in blocks.items() if any(key in table for key in keys)}


def _fixed_adjustment(values: Mapping[str, float]) -> tuple[MethodParameter, ...]:
    """Return the eight numbers of the recipe's own layer adjustment, which nobody searches unless asked."""
    return tuple(
        replace(p, default=values[p.name], bound=_reaching(p.bound, [values[p.name]]), searched=False)
        for p in ADJUSTMENTS
    )
