"""How users name several blocks or tensors at once."""

from __future__ import annotations

import difflib
import fnmatch
import itertools
import re
from collections.abc import Iterable, Sequence

from lib_optim.plan.blocks import Block
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean

__all__ = ["is_key_pattern", "match_blocks", "match_keys"]

_RANGE_ENDS = 2


def is_key_pattern(pattern: str) -> bool:
    """Tell whether `pattern` means tensors (``*.attn1.*``, ``OUT03-OUT06/*attn1*``) rather than blocks."""
    return "." in pattern or "/" in pattern


def match_blocks(patterns: Iterable[str], blocks: tuple[Block, ...], where: str) -> tuple[str, ...]:
    """Return the names of `blocks` that `patterns` select, in block order.

    A pattern is a name, a wildcard (``IN*``), or a range (``IN00-IN05``); case does not matter. One that contains a dot
    is a tensor's key or a wildcard over keys (``*.attn1.*``), and one with a slash such a wildcard within blocks
    (``OUT03-OUT06/*attn1*``); these select blocks that `lib_optim.plan.refine` made.

    Raises:
        PlanError: A pattern that matches nothing; names the nearest block.
    """
    order = {block.name: i for i, block in enumerate(blocks)}
    names = [block.name for block in blocks if block.key is None]
    keys = [(block.key, block.follows or "") for block in blocks if block.key is not None]
    chosen: set[str] = set()
    problems: list[Problem] = []
    for pattern in patterns:
        if is_key_pattern(pattern):
            found, what = match_keys(pattern, keys, names), "tensor"
        else:
            found, what = _match(pattern.strip(), names), "block"
        if not found:
            problems.append(Problem(where, f"'{pattern}' matches no {what} of {where}.{_hint(pattern, names)}"))
        chosen.update(found)
    if problems:
        raise PlanError(problems)
    return tuple(sorted(chosen, key=order.__getitem__))


def match_keys(pattern: str, keys: Sequence[tuple[str, str]], names: Sequence[str]) -> list[str]:
    """Return those `keys`, each with the name of its block, that a pattern for tensors selects.

    Args:
        pattern: As in `match_blocks`.
        keys: Tensor and block.
        names: All names of blocks, in order.
    """
    within, slash, wanted = pattern.strip().rpartition("/")
    if slash:
        inside = set(_match(within.strip(), names))
        keys = [(key, block) for key, block in keys if block in inside]
    wanted = wanted.strip()
    if not any(sign in wanted for sign in "*?["):
        return [key for key, _ in keys if key == wanted]
    matches = re.compile(fnmatch.translate(wanted)).match
    return [key for key, _ in keys if matches(key)]


def _hint(pattern: str, names: Sequence[str]) -> str:
    """Return what may have been meant: a range with its ends put right, a name or wildcard, else all names."""
    ends = [part.strip() for part in pattern.split("-")]
    if len(ends) == _RANGE_ENDS and all(ends) and "*" not in pattern:
        near = [_near(end, names) for end in ends]
        if all(near):
            return f" Did you mean '{near[0]}-{near[1]}'?"
    stems = [f"{name.rstrip('0123456789')}*" for name in names]
    known = list(dict.fromkeys(stems)) if "*" in pattern else names
    return did_you_mean(pattern, known) or f" There are {', '.join(_runs(names))}."


def _near(name: str, names: Sequence[str]) -> str:
    numbered = re.fullmatch(r"([a-z_]+?)_?(\d+)", name, re.IGNORECASE)
    padded = f"{numbered[1]}{int(numbered[2]):02d}".upper() if numbered else name
    return padded if padded in names else next(iter(difflib.get_close_matches(padded.upper(), names, 1, 0.5)), "")


def _runs(names: Sequence[str]) -> list[str]:
    """Return names as ranges where they are numbered: ``IN00-IN11``."""
    runs = [list(run) for _, run in itertools.groupby(names, key=lambda name: name.rstrip("0123456789"))]
    return [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def _match(pattern: str, names: Sequence[str]) -> list[str]:
    folded = [name.casefold() for name in names]
    span = re.fullmatch(r"(\w+)\s*-\s*(\w+)", pattern)
    if span and span[1].casefold() in folded and span[2].casefold() in folded:
        low, high = sorted((folded.index(span[1].casefold()), folded.index(span[2].casefold())))
        return list(names[low : high + 1])
    return [name for name in names if fnmatch.fnmatchcase(name.casefold(), pattern.casefold())]
