"""Which blocks a form is about: the usual ones of its model A, or a block map of the user."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.own_maps import plan_blocks

if TYPE_CHECKING:
    from lib_optim.ui.form import Choices

__all__ = ["block_map_text", "form_blocks"]


def form_blocks(form: Mapping[str, Any], choices: Choices, base: Path) -> BlockMap:
    """Return the block map of a form whose model A is `base`.

    Raises:
        OptimError: It has none, or the user's own cannot be used.
    """
    return plan_blocks(block_map_text(form, choices), choices.blocks(base))


def block_map_text(form: Mapping[str, Any], choices: Choices) -> str:
    """Return the text of the user's block map that a form names, or an empty string.

    Raises:
        PlanError: It is not there any more, or broken.
    """
    name = str((form.get("vary") or {}).get("block_map") or "")
    if not name:
        return ""
    own = choices.block_maps.get(name)
    if own is None:
        hint = did_you_mean(name, choices.block_maps)
        raise PlanError([Problem("block_map", f"The block map '{name}' is not there any more; choose another.{hint}")])
    if own.problems:
        raise PlanError(Problem("block_map", sentence) for sentence in own.problems)
    return own.text
