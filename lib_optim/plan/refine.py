"""Guides that go down to single tensors: the block map with a block for each tensor that a guide names.

Such a block follows the block it was taken out of, as the time embedding follows ``IN00``: it takes that block's values
unless a strategy names the tensor itself, wherever in the list that strategy stands.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lib_optim.plan.blocks import Block, BlockMap
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.guide import Guide
from lib_optim.plan.matching import is_key_pattern, match_keys
from lib_optim.plan.nearest import did_you_mean

__all__ = ["refined", "refined_for", "tensors_of"]


def refined_for(guide: Guide, blocks: BlockMap, keys: Iterable[str]) -> BlockMap:
    """Return `blocks` with a block of its own for every tensor that a strategy of `guide` names.

    Args:
        guide: Whose patterns with a dot or a slash count.
        blocks: The map.
        keys: The floating tensors of the base's file, by their names there.

    Raises:
        PlanError: A pattern that matches no tensor of its component; names the nearest.
    """
    problems: list[Problem] = []
    wanted: dict[str, None] = {}
    pool = _with_blocks(blocks, keys) if any(True for _ in _patterns(guide)) else []
    for component, pattern in _patterns(guide):
        inside = {block.name for block in blocks.of_component(component)}
        try:
            found = _found(pattern, [(key, block) for key, block in pool if block in inside], blocks, component)
        except PlanError as error:
            problems.extend(error.problems)
        else:
            wanted.update(dict.fromkeys(found))
    if problems:
        raise PlanError(problems)
    return _split(blocks, dict(pool), wanted)


def tensors_of(pattern: str, blocks: BlockMap, keys: Iterable[str]) -> dict[str, str]:
    """Return the tensors of any component that a pattern with a dot or a slash means, each with its block.

    Raises:
        PlanError: There are none; names the nearest.
    """
    pool = _with_blocks(blocks, keys)
    found = _found(pattern, pool, blocks, blocks.id)
    block_of = dict(pool)
    return {key: block_of[key] for key in found}


def refined(blocks: BlockMap, patterns: Iterable[str], keys: Iterable[str]) -> BlockMap:
    """Return `blocks` with a block of its own for every tensor of any component that `patterns` name.

    Patterns for blocks, and those that match nothing, change nothing.
    """
    wanted = [pattern for pattern in patterns if is_key_pattern(pattern)]
    if not wanted:
        return blocks
    pool = _with_blocks(blocks, keys)
    names = [block.name for block in blocks.blocks]
    return _split(blocks, dict(pool), {key: None for pattern in wanted for key in match_keys(pattern, pool, names)})


def _patterns(guide: Guide) -> Iterator[tuple[str, str]]:
    for component in guide.components:
        for strategy in component.strategies:
            for pattern in (*strategy.blocks, *(name for group in strategy.groups for name in group.blocks)):
                if is_key_pattern(pattern):
                    yield component.component, pattern


def _with_blocks(blocks: BlockMap, keys: Iterable[str]) -> list[tuple[str, str]]:
    return [(key, block) for key in keys if (block := blocks.block_of(key)) is not None]


def _found(pattern: str, pool: Sequence[tuple[str, str]], blocks: BlockMap, component: str) -> list[str]:
    names = [block.name for block in blocks.blocks]
    found = match_keys(pattern, pool, names)
    if not found:
        raise PlanError(
            [Problem(component, f"'{pattern}' matches no tensor of {component}.{_nearest(pattern, pool, names)}")]
        )
    return found


def _nearest(pattern: str, pool: Sequence[tuple[str, str]], names: Sequence[str]) -> str:
    """Return a hint: the pattern with its misspelt words put right, if it then matches; else the nearest tensor."""
    keys = [key for key, _ in pool]
    words = sorted({word for key in keys for word in key.split(".")})
    within, slash, wanted = pattern.rpartition("/")
    mended = re.sub(r"[\w-]{3,}", lambda found: _known_word(found[0], words), wanted)
    better = f"{within}{slash}{mended}"
    if mended != wanted and match_keys(better, pool, names):
        return f" Did you mean '{better}'?"
    if slash and not match_keys(f"{within}/*", pool, names):
        return did_you_mean(within, names)
    return "" if any(sign in pattern for sign in "*?[/") else did_you_mean(pattern, keys)


def _known_word(word: str, words: Sequence[str]) -> str:
    if any(word in known for known in words):
        return word
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=0.5)), word)


def _split(blocks: BlockMap, block_of: dict[str, str], wanted: Iterable[str]) -> BlockMap:
    taken: dict[str, list[Block]] = {}
    for key in sorted(wanted, key={key: i for i, key in enumerate(block_of)}.__getitem__):
        parent = blocks.block(block_of[key])
        taken.setdefault(parent.name, []).append(Block(key, parent.component, key, (), parent.name, parent.depth, key))
    if not taken:
        return blocks
    return replace(blocks, blocks=tuple(b for block in blocks.blocks for b in (block, *taken.get(block.name, ()))))
