"""A LoRA in a recipe: with sd-mecha's own nodes where they can read it, else with ours.

sd-mecha 1.1.8 reads kohya's LoRA and LoKr for SDXL; its converter for SD1 always fails, and it knows neither LoHa,
full differences nor PEFT's names. A recipe with such a LoRA names the method ``optim_add_lora``, which is there after
``lib_optim.merging.own.register()``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_optim.merging.lora_source import LoraSource
from lib_optim.merging.mecha import merge_registry, sd_mecha
from lib_optim.merging.sources import Source
from lib_optim.plan.adapters import Adapter, Fit

__all__ = ["add_lora_node", "lora_routes", "place_loras"]

_READABLE = re.compile(r"lora_(up|down|mid)\.weight|lokr_\w+|alpha")


def lora_routes(sources: Sequence[Source]) -> Mapping[int, tuple[str, ...]]:
    """Return, for each source that is a LoRA, its index and how sd-mecha reads it.

    Returns:
        Index to the identifiers of sd-mecha's model config and of the converters to apply; empty where only
        ``optim_add_lora`` reads it.
    """
    return {i: _route(s.adapter, s.fit) for i, s in enumerate(sources) if isinstance(s, LoraSource)}


def add_lora_node(base: Any, name: str, route: Sequence[str]) -> Any:
    """Return a recipe node for base plus LoRA.

    Args:
        base: The node of model A.
        name: The LoRA's file.
        route: One of `lora_routes`.
    """
    registry = merge_registry()
    if not route:
        return registry["optim_add_lora"](base, name)
    config, *converters = route
    delta = sd_mecha().model(Path(name), config, "weight")
    for converter in converters:
        delta = registry[converter](delta)
    return registry["add_difference"](base, delta, alpha=1.0) | base


def place_loras(root: Any, found: Callable[[Path], Path]) -> None:
    """Write the whole path of each LoRA that `optim_add_lora` names into a recipe.

    Args:
        root: A recipe node, as deserialised.
        found: Gives the file for the name in the recipe; may raise.
    """
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if hasattr(node, "bound_args"):
            waiting += [*node.bound_args.args, *node.bound_args.kwargs.values()]
            if node.merge_method.identifier == "optim_add_lora":
                literal = _literal(node.bound_args.args[1])
                literal["key"] = str(found(Path(literal["key"])))
        elif hasattr(node, "value_dict"):
            waiting += [value for value in node.value_dict.values() if hasattr(value, "accept")]


def _literal(node: Any) -> dict[str, str]:
    """Return the table of a plain value, which sd-mecha may have wrapped into a converter."""
    while hasattr(node, "bound_args"):
        node = node.bound_args.args[0]
    table: dict[str, str] = node.value_dict
    return table


def _route(adapter: Adapter, fit: Fit) -> tuple[str, ...]:
    ends = {end for rows in adapter.modules.values() for end in rows}
    readable = adapter.architecture == "sdxl" and adapter.plain and all(map(_READABLE.fullmatch, ends))
    pairs = [pair for found in fit.targets.values() for pair in found]
    whole = not any(target.transposed for _, target in pairs) and all(
        len(found) == 3 for found in fit.targets.values() if found[0][1].part is not None
    )
    unet = [module for module, _ in pairs if module.startswith("unet_")]
    own = [re.match(r"unet_(input_blocks|middle_block|output_blocks|time_embed|label_emb|out)_", m) for m in unet]
    if not readable or not whole or (any(own) and not all(own)):
        return ()
    layout = "sdxl-kohya" if not unet or all(own) else "sdxl-kohya_but_diffusers"
    config = f"{layout}_kohya_lora"
    return config, f"convert_'{config}'_to_base", f"convert_'{layout}'_to_'sdxl-sgm'"
