"""Merge methods made for one plan, and what builds their recipes: a recipe as a method, a layer adjustment on top."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lib_optim.merging.adjusting import adjusted_row
from lib_optim.merging.choice import choice_of
from lib_optim.merging.graph_reader import read_graph
from lib_optim.merging.methods import MethodRow, merge_method, method_row
from lib_optim.merging.recipe_method import RECIPE, recipe_method, seeds_in
from lib_optim.merging.shapes import Shape
from lib_optim.plan.adjust import ADJUSTMENTS, LATENTS
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import Guide
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.plan.run_plan import RunPlan

__all__ = ["composed", "named_in", "plan_method", "row_of", "ways_of"]


def plan_method(plan: RunPlan, architecture: Architecture | None = None, present: Collection[str] = ()) -> MergeMethod:
    """Return the method of a plan, its recipe read and its layer adjustment added.

    Args:
        plan: The plan.
        architecture: Of its models; without it the parameters of a recipe are not known.
        present: Keys of model A's file. Blocks without any are not merged; all count as present if empty.

    Raises:
        PlanError: No such method, a recipe that cannot be used, or an architecture that cannot be adjusted.
    """
    if plan.recipe and plan.method != RECIPE:
        raise PlanError(f"The plan holds a recipe, but its method is '{plan.method}'; make it '{RECIPE}'.")
    named = named_in(plan.guide)
    return composed(plan.method, plan.recipe, plan.adjust, architecture, present, named, plan.methods)


def composed(
    name: str,
    recipe: str,
    adjust: bool,
    architecture: Architecture | None,
    present: Collection[str] = (),
    named: Collection[str] = (),
    others: Sequence[str] = (),
) -> MergeMethod:
    """Return the method of a plan by its parts; see `plan_method`.

    Args:
        name: Id of the method.
        recipe: Its text, if it is a recipe.
        adjust: Whether the layer adjustment is searched on top.
        architecture: As `plan_method`.
        present: As `plan_method`.
        named: Method parameters that the guide names.
        others: Further methods, of which and `name` every trial takes one.

    Raises:
        PlanError: As `plan_method`.
    """
    if others:
        method = _choice([name, *others])
    elif name == RECIPE:
        method = recipe_method(recipe, architecture, present, named)
    else:
        method = merge_method(name)
    if adjust and method.id != "layer_adjust":
        method = with_adjustment(method)
    if method.adjusted and architecture is not None and architecture.id not in LATENTS:
        raise PlanError(f"{architecture.title} models have no layer adjustment; switch it off.")
    return method


def _choice(names: Sequence[str]) -> MergeMethod:
    for name in names:
        if name in (RECIPE, "layer_adjust"):
            what = "A recipe" if name == RECIPE else "Layer adjust"
            raise PlanError(f"{what} cannot be one of several methods; choose it alone.")
    return choice_of([merge_method(name) for name in names])


def ways_of(method: MergeMethod) -> dict[str, MergeMethod]:
    """Return the methods between which `method` lets its trials choose, by id; itself, under "", if there is none."""
    found = {choice.id: merge_method(choice.id) for choice in method.choices}
    if method.adjusted:
        found = {name: with_adjustment(way) for name, way in found.items()}
    return found or {"": method}


def row_of(method: MergeMethod) -> MethodRow:
    """Return what builds the recipes of a method that `plan_method` or `merge_methods` gave.

    Raises:
        PlanError: As `method_row`, or the method's recipe cannot be read.
    """
    row = _recipe_row(method) if method.recipe else method_row(method.id)
    if method.adjusted and row.inner is None:
        plain = replace(method, adjusted=False, parameters=_plain(method.parameters))
        row = adjusted_row(replace(row, method=plain), method)
    return replace(row, method=method)


def named_in(guide: Guide) -> frozenset[str]:
    """Return every word of a guide that may name a method parameter: of its strategies, and the ends of its bounds."""
    strategies = {p for component in guide.components for s in component.strategies for p in s.parameters}
    return frozenset(strategies | {end for key in guide.bounds for end in (key, key.partition("_")[2])})


def with_adjustment(method: MergeMethod) -> MergeMethod:
    """Return `method` with the eight numbers searched on top: from 0 on, or from what its recipe gives."""
    given = {p.name: p for p in method.parameters if p.blocks}
    added = tuple(replace(given.get(p.name, p), searched=True) for p in ADJUSTMENTS)
    return replace(method, parameters=(*_plain(method.parameters), *added), adjusted=True)


def _plain(parameters: Sequence[MethodParameter]) -> tuple[MethodParameter, ...]:
    return tuple(p for p in parameters if not p.blocks)


def _recipe_row(method: MergeMethod) -> MethodRow:
    graph = read_graph(method.recipe)
    names = {p.name for p in method.parameters}
    tables = [set(row.value) for row in graph.inputs if isinstance(row.value, Mapping) and row.name not in names]
    shape = Shape(lambda _, models, values: graph.build(models, values), method.min_models, method.max_models)
    keys = frozenset(set.intersection(*tables)) if tables else None
    return MethodRow(method, "", shape, seeds_in(graph), {}, keys=keys)
