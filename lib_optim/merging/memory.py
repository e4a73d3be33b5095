"""How much memory a run's merges will keep, said before it starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_optim.merging.adjusting import plain_parameters
from lib_optim.merging.compose import row_of, ways_of
from lib_optim.merging.constants import free_memory
from lib_optim.merging.direct import searched_by_block
from lib_optim.merging.expression import Constant, expression_of, leaves_of
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.recipe import build_recipe
from lib_optim.merging.ways import way_space
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.header import CheckpointHeader
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.space import Space

__all__ = ["MemoryPlan", "memory_plan"]


@dataclass(frozen=True)
class MemoryPlan:
    """What is computed once per run and kept in RAM.

    Attributes:
        wanted: Bytes that all of it would take.
        allowed: Bytes that it may take: half of what is free now.
    """

    wanted: int
    allowed: int


def memory_plan(
    method: MergeMethod,
    models: Sequence[Path],
    architecture: Architecture,
    blocks: BlockMap,
    space: Space,
    base: CheckpointHeader,
) -> MemoryPlan:
    """Return the memory plan of a `Merger` with these arguments. Reads nothing but `base`, A's header."""
    if method.choices:
        ways, spaces = ways_of(method), {choice.id: way_space(space, choice) for choice in method.choices}
        plans = [memory_plan(way, models, architecture, blocks, spaces[name], base) for name, way in ways.items()]
        return MemoryPlan(sum(plan.wanted for plan in plans), free_memory() // 2)
    nodes, row = sd_mecha().recipe_nodes, row_of(method)
    config = architecture.mecha_config
    models_of_recipe = [nodes.ClosedModelRecipeNode(path, config, "weight") for path in models]
    parameters = {p.name: nodes.LiteralRecipeNode({}, config, "param") for p in method.parameters}
    plain = plain_parameters(row, parameters)
    recipe = build_recipe(row.inner or row, models_of_recipe, plain, 0)
    elements: dict[str, int] = {}
    for key, info in base.tensors.items():
        block = blocks.block_of(key)
        if block in space.merged_blocks and info.dtype.startswith(("F", "BF")):
            elements[block] = elements.get(block, 0) + math.prod(info.shape)
    searched, wanted = searched_by_block(space), 0
    for block, count in elements.items():
        expression = expression_of(recipe, models_of_recipe, plain, searched.get(block, frozenset()))
        if expression is not None:
            kept = {leaf.number for leaf in leaves_of(expression) if isinstance(leaf, Constant)}
            wanted += 4 * count * len(kept)
    return MemoryPlan(wanted, free_memory() // 2)
