"""The merge methods that a user can choose: sd-mecha's registry, read by introspection, with a table of ours."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from lib_optim.merging.mecha import merge_registry
from lib_optim.merging.registration import removals
from lib_optim.merging.shapes import SHAPES, Shape, Slots, slots_of
from lib_optim.merging.table import BOUNDS, DEFAULTS, EXCLUDED, PLUMBING, ROW_BOUNDS, SETTLED, TABLE, Entry
from lib_optim.merging.user_methods import UserMethod, user_method
from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.errors import PlanError
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.plan.nearest import did_you_mean

__all__ = ["MethodRow", "excluded_methods", "merge_method", "merge_methods", "method_row", "method_rows"]


@dataclass(frozen=True)
class MethodRow:
    """A merge method together with what makes recipes of it.

    Attributes:
        method: As the rest of Optim sees it.
        source: The registered method it is made of.
        shape: How that method is applied to whole models.
        seeds: Parameters of the registered method that take the plan's seed.
        settled: Parameters of it that the user does not see, and their values.
        keys: The only keys it merges (sd-mecha's names); None for all.
        inner: Of a merge with a layer adjustment: the merge without.
    """

    method: MergeMethod
    source: str
    shape: Shape
    seeds: tuple[str, ...]
    settled: Mapping[str, Value]
    keys: frozenset[str] | None = None
    inner: MethodRow | None = None


def merge_methods() -> tuple[MergeMethod, ...]:
    """Return every merge method a user can choose, weighted_sum and add_difference first. Imports sd-mecha."""
    return tuple(row.method for row in method_rows())


def merge_method(name: str) -> MergeMethod:
    """Return the method called `name`.

    Raises:
        PlanError: There is none of that name, or it cannot merge models; names the nearest.
    """
    return method_row(name).method


def excluded_methods() -> Mapping[str, str]:
    """Return every registered method that is no row and part of no row: its identifier, and why, as a sentence."""
    return _rows(_registered())[1]


def method_rows() -> tuple[MethodRow, ...]:
    """Return the rows of `merge_methods` with what builds their recipes."""
    return _rows(_registered())[0]


def method_row(name: str) -> MethodRow:
    """Return the row called `name`.

    Raises:
        PlanError: As `merge_method`.
    """
    for row in method_rows():
        if row.method.id == name:
            return row
    names = [row.method.id for row in method_rows()]
    reason = excluded_methods().get(name)
    if reason is not None:
        raise PlanError(f"'{name}' cannot be searched: {reason}")
    raise PlanError(f"There is no merge method '{name}'.{did_you_mean(name, names) or ' Choose one of the list.'}")


def _registered() -> tuple[tuple[str, ...], int]:
    return tuple(merge_registry()), removals()


@functools.lru_cache(maxsize=2)
def _rows(registered: tuple[tuple[str, ...], int]) -> tuple[tuple[MethodRow, ...], Mapping[str, str]]:
    """Keyed by what is registered, so that methods which other extensions add later, or change, show up."""
    from lib_optim.merging.adjusting import adjust_row  # it needs the rows' type from here

    registry = merge_registry()
    methods = _converters()
    excluded = dict.fromkeys(methods, "It converts a model between key layouts, or makes or applies a LoRA.")
    excluded.update({name: reason for name, reason in EXCLUDED.items() if name in registry})
    rows = [_row(entry, slots_of(registry[entry.source or entry.id])) for entry in TABLE]
    rows.append(adjust_row())
    used = {row.source for row in rows}
    for name in registered[0]:
        if name in used or name in excluded:
            continue
        slots = slots_of(registry[name])
        shape = _shape(slots) if isinstance(slots, Slots) else slots
        if shape in SHAPES:
            said = user_method(name) or UserMethod()
            title, formula = said.title or name.replace("_", " ").capitalize(), said.formula or f"{name}(A, B, …)"
            rows.append(_row(Entry(name, title, formula), slots, said.bounds))
        else:
            excluded[name] = shape
    return tuple(rows), MappingProxyType(excluded)


def _converters() -> set[str]:
    """Return the identifiers of registered converters and LoRA extractors."""
    registry = merge_registry()
    from sd_mecha.extensions import merge_methods as extension

    converters = {method.identifier for method in extension.get_all_converters()}
    return converters | {name for name in registry if name.startswith("extract_")}


def _row(entry: Entry, slots: Slots | str, stated: Mapping[str, Bound] = MappingProxyType({})) -> MethodRow:
    if isinstance(slots, str):
        raise TypeError(f"{entry.id}: {slots}")  # the tested sd-mecha has another signature
    source = entry.source or entry.id
    shape = SHAPES[entry.shape or _shape(slots)]
    defaults = DEFAULTS.get(entry.id, {})
    settled = SETTLED.get(source, {})
    seeds = tuple(name for name in slots.parameters if name == "seed" or name.endswith("_seed"))
    parameters = []
    if shape.own_alpha:
        parameters.append(_parameter("alpha", float, 1.0))
    for name, (kind, default) in slots.parameters.items():
        if name not in seeds and name not in settled:
            # A range that the user states is there to be searched; a switch or a word only where they ask for it.
            asked = {n: (b, b.kind in ("float", "int") or kind in (float, int)) for n, b in stated.items()}
            own = {**ROW_BOUNDS.get(entry.id, {}), **asked}
            parameters.append(_parameter(name, kind, defaults.get(name, default), own))
    if "beta" in defaults:
        parameters.append(_parameter("beta", float, defaults["beta"]))
    method = MergeMethod(
        entry.id, entry.title, entry.formula, shape.min_models, shape.max_models, tuple(parameters), bool(seeds)
    )
    return MethodRow(method, source, shape, seeds, settled)


def _parameter(
    name: str, kind: type, default: Any, own: Mapping[str, tuple[Bound, bool]] = MappingProxyType({})
) -> MethodParameter:
    words: Mapping[type, Literal["int", "bool", "str"]] = {int: "int", bool: "bool", str: "str"}
    word: Literal["float", "int", "bool", "str"] = words.get(kind, "float")
    bound, searched = own.get(name) or BOUNDS.get(name) or (None, False)
    choices = bound is not None and bound.kind == "choice" and name in own
    if word == "bool":
        bound, searched = Bound("bool"), False
    elif bound is None or (bound.kind != word and not choices):
        bound, searched = Bound("fixed", value=default), False
    value = float(default) if word == "float" and default is not None else default
    return MethodParameter(name, word, value, bound, searched)


def _shape(slots: Slots) -> str:
    """Return the name of the shape that follows from a signature, or a sentence on why there is none."""
    weights = all(space in ("weight", "any") for space in slots.fixed)
    if slots.gives == "param":
        return "mask" if len(slots.fixed) == 3 and slots.more is None else PLUMBING
    if slots.more is None and weights and slots.gives in ("weight", "any"):
        known = {1: "one", 2: "two", 3: "three"}
        return known.get(len(slots.fixed), f"It takes {len(slots.fixed)} models by name; write *models instead.")
    if slots.more is None and len(slots.fixed) == 2 and slots.fixed[0] != "delta" and slots.fixed[1] == "delta":
        return "weight and delta"
    if slots.fixed == ("delta",) and slots.more is None and slots.gives == "delta":
        return "delta"
    if not slots.fixed and slots.more == "delta" and slots.gives == "delta":
        return "deltas"
    if not slots.fixed and slots.more in ("weight", "any"):
        return "towards"
    if len(slots.fixed) == 1 and weights and slots.more in ("weight", "any"):
        return "any"
    return "Its inputs fit no pattern of whole models that Optim knows."
