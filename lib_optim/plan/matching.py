"""How users name several blocks at once."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

from lib_optim.plan.blocks import Block
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean

__all__ = ["match_blocks"]


def match_blocks(patterns: Iterable[str], blocks: tuple[Block, ...], where: str) -> tuple[str, ...]:
    """Return the names of `blocks` that `patterns` select, in block order.

    A pattern is a name, a wildcard (``IN*``), or a range (``IN00-IN05``); case does not matter.

    Raises:
        PlanError: A pattern that matches nothing; names the nearest block.
    """
    names = [block.name for block in blocks]
    chosen: set[str] = set()
    problems: list[Problem] = []
    for pattern in patterns:
        found = _match(pattern.strip(), names)
        if not found:
            problems.append(Problem(where, f"'{pattern}' matches no block of {where}.{did_you_mean(pattern, names)}"))
        chosen.update(found)
    if problems:
        raise PlanError(problems)
    return tuple(name for name in names if name in chosen)


def _match(pattern: str, names: list[str]) -> list[str]:
    folded = [name.casefold() for name in names]
    span = re.fullmatch(r"(\w+)\s*-\s*(\w+)", pattern)
    if span and span[1].casefold() in folded and span[2].casefold() in folded:
        low, high = sorted((folded.index(span[1].casefold()), folded.index(span[2].casefold())))
        return names[low : high + 1]
    return [name for name in names if fnmatch.fnmatchcase(name.casefold(), pattern.casefold())]
