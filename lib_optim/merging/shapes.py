"""How a merge method of sd-mecha becomes a merge of whole models A, B, C, … in the field's sense.

A *shape* is a function (method, model nodes, parameter nodes) -> recipe node. Which one a method gets follows from its
signature: how many tensors it takes, and whether it takes and gives weights or differences of weights (deltas).
Weight inputs take the models in order. A delta input takes B − A of two models and B − C of three; a method of any
number of deltas takes B − A, C − A, …. A delta that comes out is added to A, times `alpha`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_optim.merging.mecha import merge_registry

__all__ = ["SHAPES", "Shape", "Slots", "slots_of", "space_name"]

Builder = Callable[[Any, Sequence[Any], Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Slots:
    """What a registered method takes.

    Attributes:
        fixed: Merge space of each tensor input without a default: ``weight``, ``delta``, or ``any``.
        more: Merge space of its variable number of inputs, or None.
        gives: ``weight``, ``delta``, ``param`` (a mask for another method) or ``any`` (what it takes).
        parameters: Name to (type, default) of all other inputs.
    """

    fixed: tuple[str, ...]
    more: str | None
    gives: str
    parameters: Mapping[str, tuple[type, Any]]


@dataclass(frozen=True)
class Shape:
    """One way to apply a method to models.

    Attributes:
        build: Makes the recipe.
        min_models: Fewest models.
        max_models: Most models; None for any number.
        own_alpha: Whether the shape adds a parameter ``alpha`` that the method lacks.
    """

    build: Builder
    min_models: int
    max_models: int | None
    own_alpha: bool = False


def _difference(x: Any, y: Any) -> Any:
    return merge_registry()["subtract"](x, y)


def _add(base: Any, delta: Any, alpha: Any = 1.0) -> Any:
    # Not sd_mecha.add_difference: that wrapper fails on any delta made by a method (MergeSpace.__eq__(None), 1.1.8).
    return merge_registry()["add_difference"](base, delta, alpha=alpha)


def _one_delta(models: Sequence[Any]) -> Any:
    return _difference(models[1], models[-1] if len(models) > 2 else models[0])


def _split(parameters: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    rest = dict(parameters)
    return rest.pop("alpha"), rest


def _plain(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    return method(*models, **parameters)


def _plain_or_from_base(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    """Two models as they are; of three, the differences from C, with C added back (sd-mecha's own wrappers do this)."""
    if len(models) == 2:
        return method(*models, **parameters)
    a, b, c = models
    return _add(c, method(_difference(a, c), _difference(b, c), **parameters))


def _weight_and_delta(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    return method(models[0], _one_delta(models), **parameters)


def _clamped(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    merged = _weight_and_delta(method, models, parameters)
    return merge_registry()["clamp"](merged, models[0], models[1])


def _delta_added(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    alpha, rest = _split(parameters)
    return _add(models[0], method(_one_delta(models), **rest), alpha)


def _deltas_added(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    alpha, rest = _split(parameters)
    return _add(models[0], method(*(_difference(model, models[0]) for model in models[1:]), **rest), alpha)


def _perpendicular(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    alpha, rest = _split(parameters)
    a, b, c = models
    return _add(a, method(_difference(a, c), _difference(b, c), **rest), alpha)


def _masked(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    return _add(models[0], _difference(models[1], models[2]), method(*models, **parameters))


def _towards(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    alpha, rest = _split(parameters)
    return merge_registry()["weighted_sum"](models[0], method(*models, **rest), alpha=alpha)


def _sum_twice(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    a, b, c = models
    return method(method(a, b, alpha=parameters["alpha"]), c, alpha=parameters["beta"])


def _triple_sum(method: Any, models: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    a, b, c = models
    return method(method(a, _difference(b, a), alpha=parameters["alpha"]), _difference(c, a), alpha=parameters["beta"])


SHAPES: Mapping[str, Shape] = {
    "one": Shape(_plain, 1, 1),
    "two": Shape(_plain, 2, 2),
    "three": Shape(_plain, 3, 3),
    "any": Shape(_plain, 3, None),
    "two or from C": Shape(_plain_or_from_base, 2, 3),
    "weight and delta": Shape(_weight_and_delta, 2, 3),
    "clamped": Shape(_clamped, 2, 3),
    "delta": Shape(_delta_added, 2, 3, own_alpha=True),
    "deltas": Shape(_deltas_added, 2, None, own_alpha=True),
    "deltas of two": Shape(_deltas_added, 3, None, own_alpha=True),
    "perpendicular": Shape(_perpendicular, 3, 3, own_alpha=True),
    "mask": Shape(_masked, 3, 3),
    "towards": Shape(_towards, 2, None, own_alpha=True),
    "sum twice": Shape(_sum_twice, 3, 3),
    "triple sum": Shape(_triple_sum, 3, 3),
}
"""Name to shape."""


def slots_of(method: Any) -> Slots | str:
    """Read a registered method's signature.

    Args:
        method: ``sd_mecha``'s MergeMethod.

    Returns:
        The slots, or why it cannot merge models of one architecture, as a sentence.
    """
    import torch

    names, types, defaults = method.get_param_names(), method.get_input_types(), method.get_default_args()
    spaces = method.get_input_merge_spaces()
    returned = method.get_signature().return_annotation.data
    if method.interface is not None or hasattr(method.__wrapped__, "map_keys"):
        return "It maps keys of its own choice to each other, tensor by tensor merging cannot follow it."
    if not _is_tensor(returned.interface, torch.Tensor):
        return "It does not give tensors."
    optional = dict(zip(names.args[len(names.args) - len(defaults.args) :], defaults.args, strict=True))
    optional.update(defaults.kwargs)
    all_types = dict(zip(names.args, types.args, strict=True)) | types.kwargs
    fixed = []
    for name, kind, space in zip(names.args, types.args, spaces.args, strict=True):
        if name in optional:
            continue
        if not _is_tensor(kind, torch.Tensor):
            return f"It needs '{name}', which is no model."
        fixed.append(space_name(space))
    if any(name not in optional for name in types.kwargs):
        return "It needs a parameter without default."
    more = space_name(spaces.vararg) if names.has_varargs() else None
    parameters = {name: (all_types[name], default) for name, default in optional.items()}
    return Slots(tuple(fixed), more, space_name(returned.merge_space), parameters)


def _is_tensor(kind: Any, tensor: type) -> bool:
    import typing

    arguments = typing.get_args(kind)
    return kind is tensor or (len(arguments) == 1 and arguments[0] is tensor)


def space_name(space: Any) -> str:
    """Return the merge space that an input takes, or ``any``."""
    from sd_mecha.extensions.merge_spaces import MergeSpace, MergeSpaceSymbol

    if isinstance(space, MergeSpaceSymbol):
        return "any"
    if isinstance(space, MergeSpace):
        return str(space.identifier)
    names = sorted(member.identifier for member in space)
    return names[0] if len(names) == 1 else "any"
