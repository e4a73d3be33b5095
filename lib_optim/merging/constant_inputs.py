"""What a part of a recipe without models comes to: one value, or one per key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import PlanError

__all__ = ["constant_value"]

Constant = Value | None | Mapping[str, Value]


def constant_value(node: Any, where: str) -> Constant:
    """Evaluate literals, values per block (sd-mecha's own converters) and defaults behind them (``|``).

    Args:
        node: A part of a recipe in which no model occurs.
        where: Whose input it is, for messages.

    Returns:
        One value, or values by key. Keys may be missing.

    Raises:
        PlanError: It is something else, such as tensors or a computation.
    """
    if not hasattr(node, "merge_method"):
        return _values(node, where)
    method, arguments = node.merge_method, node.bound_args
    if method.identifier == "convert_singleton":
        return _values(arguments.args[0], where).get("key")
    if method.identifier == "fallback":
        first, second = (constant_value(child, where) for child in arguments.args)
        if not isinstance(first, Mapping):
            return first
        if isinstance(second, Mapping):
            return {**second, **first}
        config = _config(arguments.args[0])
        return first if second is None or config is None else {**dict.fromkeys(config.keys(), second), **first}
    config = _config(node)
    if config is not None and hasattr(method.__wrapped__, "map_keys") and len(arguments.args) == 1:
        return _from_blocks(node, config, where)
    raise PlanError(
        f"The recipe computes {where} with {method.identifier} from numbers alone, which Optim cannot take apart; "
        "write the number itself."
    )


def _values(node: Any, where: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.value_dict.items():
        plain = constant_value(value, where) if hasattr(value, "accept") else value
        if plain is not None and not isinstance(plain, bool | int | float | str):
            raise PlanError(f"The recipe gives tensors or tables for {where}, which Optim cannot search.")
        values[key] = plain
    return values


def _config(node: Any) -> Any:
    """Return the layout that a constant's keys belong to: what its converter gives, or None."""
    if not hasattr(node, "merge_method"):
        return node.model_config
    data = node.merge_method.get_signature().return_annotation.data
    if data.model_config is not None:
        return data.model_config
    return next((found for child in node.bound_args.args if (found := _config(child)) is not None), None)


def _from_blocks(node: Any, config: Any, where: str) -> dict[str, Value]:
    method = node.merge_method
    source = node.bound_args.args[0]
    blocks = _values(source, where)
    key_map = method.build_key_map([source.model_config], {}, config)
    found = {}
    for relation in key_map:
        names = [name for inputs in relation.clauses[0].by_param.values() for name in inputs]
        if len(names) == 1 and names[0] in blocks:
            found.update(dict.fromkeys(relation.outputs, blocks[names[0]]))
    return found
