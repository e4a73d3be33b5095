"""Ties: ``=IN05`` as the bound of a dimension, which then takes another's value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lib_optim.plan.dimensions import Parameter, Setting
from lib_optim.plan.errors import Problem
from lib_optim.plan.nearest import did_you_mean

__all__ = ["resolve_ties"]


def resolve_ties(ties: list[Setting], searched: list[Parameter], settings: list[Setting]) -> Iterator[Problem]:
    """Turn every tie into membership of the dimension that it names (or a copy of its fixed value).

    Args:
        ties: Settings whose value is the name of a block or a dimension.
        searched: The searched dimensions, of which some get more blocks.
        settings: The fixed ones, of which there may be more afterwards.

    Yields:
        Why a tie cannot be resolved.
    """
    left = ties
    while left:
        waiting = [tie for tie in left if not _join(tie, searched, settings)]
        if len(waiting) == len(left):
            break
        left = waiting
    for tie in left:
        rows: list[Parameter | Setting] = [*searched, *settings]
        known = [row.name for row in rows if row.method_parameter == tie.method_parameter]
        what = f"which is neither searched nor fixed.{did_you_mean(str(tie.value), known)}"
        if any(row.curve and _names(tie, replace(row, curve="")) for row in rows):
            what = "which lies on a curve; let its strategy take both."
        yield Problem(f"guide.bounds.{tie.name}", f"{tie.name} is tied to '{tie.value}', {what}")


def _join(tie: Setting, searched: list[Parameter], settings: list[Setting]) -> bool:
    """Resolve one tie; False while what it names has no value itself."""
    for i, parameter in enumerate(searched):
        if _names(tie, parameter):
            searched[i] = replace(parameter, blocks=parameter.blocks + tie.blocks)
            return True
    for setting in settings:
        if _names(tie, setting):
            settings.append(replace(tie, value=setting.value))
            return True
    return False


def _names(tie: Setting, row: Parameter | Setting) -> bool:
    """Tell whether `tie` means `row`: its name, a block in it, or either with the method parameter behind."""
    wanted, suffix = str(tie.value).casefold(), f"_{row.method_parameter}".casefold()
    if row.curve:
        return False  # a point sets no block by itself
    names = {row.name.casefold(), *(f"{block.casefold()}{suffix}" for block in row.blocks)}
    return row.method_parameter == tie.method_parameter and bool({wanted, wanted + suffix} & names)
