"""The layer adjustment in recipes: alone on one model, or after any merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lib_optim.merging.executor import CompiledRecipe, compile_recipe
from lib_optim.merging.mecha import merge_registry
from lib_optim.merging.methods import MethodRow
from lib_optim.merging.recipe import build_recipe
from lib_optim.merging.shapes import Shape
from lib_optim.plan.adjust import ADJUSTMENTS
from lib_optim.plan.methods import MergeMethod

__all__ = ["ADJUST_METHOD", "adjust_row", "adjusted_row", "adjusted_steps", "plain_parameters"]

ADJUST_METHOD = "optim_layer_adjust"
_NAMES = {p.name for p in ADJUSTMENTS}


def adjust_row() -> MethodRow:
    """Return the method that only adjusts: one model, and the eight numbers."""
    title, formula = "Layer adjust", "A with more or less detail, contrast, brightness and colour; nothing is merged"
    method = MergeMethod("layer_adjust", title, formula, 1, 1, ADJUSTMENTS, adjusted=True)
    shape = Shape(lambda _, models, parameters: models[0], 1, 1)
    return adjusted_row(MethodRow(replace(method, parameters=(), adjusted=False), ADJUST_METHOD, shape, (), {}), method)


def adjusted_row(row: MethodRow, method: MergeMethod) -> MethodRow:
    """Return `row` with the layer adjustment after it, as `method`, which has the eight numbers too."""
    return replace(row, method=method, shape=replace(row.shape, build=_adjusted(row)), inner=row)


def _adjusted(plain: MethodRow) -> Any:
    """Return a builder that adjusts what `plain` builds; what that leaves out comes from A."""

    def build(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
        rest = {name: value for name, value in parameters.items() if name not in _NAMES}
        # Where the guide leaves every block out, there are no values for the merge either.
        absent = any(p.name not in rest for p in plain.method.parameters)
        merged = models[0] if absent else plain.shape.build(method, models, rest)
        return _adjusted_node(merged if merged is models[0] else merged | models[0], models[0], parameters)

    return build


def adjusted_steps(
    row: MethodRow, models: Sequence[Any], parameters: Mapping[str, Any], keys: Mapping[str, bool], seed: int
) -> dict[str, CompiledRecipe]:
    """Compile the adjustment of the tensors that it touches, after the merge or after nothing.

    To all others it does nothing, so that they are merged as fast as ever.

    Args:
        row: A method, with or without an adjustment.
        models: Model nodes, A first.
        parameters: Placeholder nodes, by parameter.
        keys: What may be adjusted: key to whether the merge leaves it out.
        seed: As `build_recipe`.

    Raises:
        TypeError: As `compile_recipe`.
    """
    inner = row.inner
    if inner is None:
        return {}
    from lib_optim.merging.own.layer_adjust import TENSORS

    def compiled(left_out: bool) -> CompiledRecipe:
        node = models[0] if left_out else build_recipe(inner, models, plain_parameters(row, parameters), seed)
        return compile_recipe(_adjusted_node(node, models[0], parameters), models, parameters)

    wanted = {key: left_out for key, left_out in keys.items() if key in TENSORS}
    kinds = {left_out: compiled(left_out) for left_out in set(wanted.values())}
    return {key: kinds[left_out] for key, left_out in wanted.items()}


def plain_parameters(row: MethodRow, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `parameters` that the merge without the adjustment takes."""
    return {p.name: parameters[p.name] for p in (row.inner or row).method.parameters if p.name in parameters}


def _adjusted_node(node: Any, base: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a recipe node with the layer adjustment after it.

    Args:
        node: The merge.
        base: The node of model A, which tells the architecture.
        parameters: Node or value of each of the eight numbers, and possibly others.
    """
    config = base.model_config.identifier if base.model_config is not None else ""
    latents = "sdxl" if config.startswith("sdxl") else "sd1"
    numbers = {p.name: parameters[p.name] for p in ADJUSTMENTS}
    return merge_registry()[ADJUST_METHOD](node, **numbers, latents=latents)
