"""Recipes: one merge as an sd-mecha graph, and as ``.mecha`` text that says it all."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_optim.merging.lora_recipe import add_lora_node
from lib_optim.merging.mecha import merge_registry, sd_mecha
from lib_optim.merging.methods import MethodRow
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import MergeError
from lib_optim.plan.methods import MergeMethod

__all__ = ["Recipe", "block_values", "build_recipe", "key_values", "model_names", "recipe_of"]

Assignment = Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True)
class Recipe:
    """A merge in words.

    Attributes:
        text: sd-mecha's ``.mecha`` format. Models stand in it by file name (with as much of the path as tells two
            files of the same name apart): put their folder into ``sd_mecha.model_dirs`` to run it. What the guide
            leaves out comes from model A. sd-mecha 1.1.8 cannot read back a file name that contains ``=``.
        digest: First 12 hex digits of the SHA-256 of the text with A, B, C in place of the file names, so that it
            survives a renamed file.
    """

    text: str
    digest: str


def build_recipe(row: MethodRow, models: Sequence[Any], parameters: Mapping[str, Any], seed: int) -> Any:
    """Build the recipe graph. Pure: equal arguments give equal graphs.

    Args:
        row: The merge method.
        models: Recipe nodes, A first.
        parameters: Node or plain value per parameter that the user sees.
        seed: For a method that draws random numbers.

    Returns:
        An sd-mecha recipe node. It yields the keys for which every parameter has a value, and no others.

    Raises:
        MergeError: Not the number of models that the method takes, or a parameter is missing.
    """
    method = row.method
    if not method.takes(len(models)):
        raise MergeError(f"{method.title} does not take {len(models)} models; choose another method or other models.")
    wanted = [] if row.inner is not None else method.parameters  # an adjustment alone leaves the merge out
    missing = [parameter.name for parameter in wanted if parameter.name not in parameters]
    if missing:
        raise MergeError(f"{method.title} needs a value for {', '.join(missing)}.")
    settled = {**dict.fromkeys(row.seeds, seed), **row.settled}
    return row.shape.build(merge_registry().get(row.source), models, {**parameters, **settled})


def recipe_of(
    row: MethodRow,
    paths: Sequence[Path],
    config: str,
    assignment: Assignment,
    blocks_of_keys: Mapping[str, str],
    seed: int,
    loras: Mapping[int, Sequence[str]] | None = None,
) -> Recipe:
    """Return the recipe text of one point of the space.

    Args:
        row: The merge method.
        paths: Model files, A first.
        config: sd-mecha's name of the architecture.
        assignment: ``{parameter: {block: value}}``.
        blocks_of_keys: Every key that is merged (sd-mecha's name of it) to its block.
        seed: For a method that draws random numbers.
        loras: Which of the files are LoRAs for A, and how sd-mecha reads each (see `lora_routes`).
    """
    values = key_values(row, assignment, blocks_of_keys)
    text = _text(row, model_names(paths), config, values, seed, loras or {})
    letters = [chr(ord("A") + i) for i in range(len(paths))]
    neutral = _text(row, letters, config, values, seed, loras or {})
    return Recipe(text, hashlib.sha256(neutral.encode()).hexdigest()[:12])


def key_values(row: MethodRow, assignment: Assignment, blocks_of_keys: Mapping[str, str]) -> dict[str, Any]:
    """Turn values per block into what a recipe takes: values per key, or one value where all keys share it.

    At least one parameter is always per key: that is what keeps the recipe to the merged keys. A parameter without any
    value, because the merge leaves all blocks out, is left out too.
    """
    tables = block_values(row.method, assignment, set(blocks_of_keys.values()))
    result: dict[str, Any] = {}
    found = {
        p.name: {block: _typed(p.kind, values[p.name]) for block, values in tables.items() if p.name in values}
        for p in row.method.parameters
    }
    # The first; of a recipe the first that has to be, so that the others' numbers stay readable.
    differing = [i for i, table in enumerate(found.values()) if len(set(table.values())) > 1]
    keeper = differing[0] if differing and row.method.recipe else 0
    for i, parameter in enumerate(row.method.parameters):
        name, table = parameter.name, found[parameter.name]
        everywhere = len(table) == len(tables) and len(set(table.values())) == 1
        if (everywhere and i != keeper) or (parameter.blocks and table):
            result[name] = next(iter(table.values()))
        elif table:
            result[name] = {key: table[block] for key, block in blocks_of_keys.items() if block in table}
    return result


def block_values(method: MergeMethod, assignment: Assignment, blocks: Collection[str]) -> dict[str, dict[str, Value]]:
    """Return the values in each of `blocks`: block to parameter to value.

    The numbers of a layer adjustment, which have one value in the whole model, stand in all blocks that it touches. In
    those of them that the merge leaves out, the parameters of the merge are missing.
    """
    result: dict[str, dict[str, Value]] = {block: {} for block in blocks}
    adjusted = {block for parameter in method.parameters for block in parameter.blocks}
    for parameter in method.parameters:
        given = assignment.get(parameter.name, {})
        for block, values in result.items():
            if parameter.blocks and (block in adjusted or "." in block):  # a dot: a single tensor out of a block
                values[parameter.name] = next(iter(given.values()))
            elif block in given:
                values[parameter.name] = given[block]
    return result


def model_names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest ends of `paths` that tell them apart, with ``/``."""
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(set(paths)):
            return names
    return [str(path) for path in paths]


def _text(
    row: MethodRow,
    names: Sequence[str],
    config: str,
    values: Mapping[str, Any],
    seed: int,
    loras: Mapping[int, Sequence[str]],
) -> str:
    mecha = sd_mecha()
    base = mecha.model(Path(names[0]), config, "weight")
    models = [base]
    for i, name in enumerate(names[1:], 1):
        lora = loras.get(i)
        models.append(mecha.model(Path(name), config, "weight") if lora is None else add_lora_node(base, name, lora))
    literals = {
        name: mecha.literal(value, config, "param") if isinstance(value, dict) else value
        for name, value in values.items()
    }
    recipe = build_recipe(row, models, literals, seed) | models[0]
    return str(mecha.serialize(recipe, finalize=False))


def _typed(kind: str, value: Value) -> Value:
    if kind == "float" and not isinstance(value, str):
        return float(value)
    return value
