"""The same guide in fewer words: blocks side by side as ranges, the commonest bound said once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.guide import Guide, Strategy
from lib_optim.plan.methods import MergeMethod

__all__ = ["spans", "tidied"]

_DIGITS = "0123456789"
_FEWEST = 3
"""How many equal bounds are worth one of their own for all."""


def spans(names: Collection[str], blocks: BlockMap) -> tuple[str, ...]:
    """Return block names, in block order, as ranges where they stand side by side: ``IN00-IN05``, ``M00``.

    Names that are no blocks of `blocks` (wildcards, tensors) stay as they are, at the front.
    """
    order = {block.name: i for i, block in enumerate(blocks.blocks) if block.key is None}
    runs: list[list[str]] = [[name] for name in names if name not in order]
    for name in sorted((name for name in names if name in order), key=order.__getitem__):
        last = runs[-1][-1] if runs else ""
        beside = last in order and order[name] == order[last] + 1 and name.rstrip(_DIGITS) == last.rstrip(_DIGITS)
        runs[-1].append(name) if beside else runs.append([name])
    return tuple(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def tidied(guide: Guide, method: MergeMethod, blocks: BlockMap) -> Guide:
    """Return a guide that means the same as one whose strategies list blocks by name and bound every one of them."""
    bounds = dict(guide.bounds)
    for parameter in method.parameters:
        keys = [f"{label}_{parameter.name}" for label in _labels(guide, parameter.name, blocks)]
        given = [key for key in keys if key in bounds]
        if not keys or len(given) < len(keys):
            continue  # some take another bound than one of their own
        common, count = Counter(bounds[key] for key in keys).most_common(1)[0]
        if count >= _FEWEST and common.kind not in ("fixed", "same"):
            bounds = {key: bound for key, bound in bounds.items() if key not in keys or bound != common}
            bounds[parameter.name] = common
    components = tuple(
        replace(part, strategies=tuple(_tidy(strategy, blocks) for strategy in part.strategies))
        for part in guide.components
    )
    return Guide(components, bounds)


def _tidy(strategy: Strategy, blocks: BlockMap) -> Strategy:
    groups = tuple(replace(group, blocks=spans(group.blocks, blocks)) for group in strategy.groups)
    return replace(strategy, blocks=spans(strategy.blocks, blocks), groups=groups)


def _labels(guide: Guide, parameter: str, blocks: BlockMap) -> Iterable[str]:
    """Return what gets values of `parameter`; nothing where that takes more than reading names."""
    found: list[str] = []
    known = {block.name for block in blocks.blocks}
    for part in guide.components:
        for strategy in part.strategies:
            if strategy.parameters and parameter not in strategy.parameters:
                continue
            if strategy.type not in ("select", "group") or not set(strategy.blocks) <= known:
                return []
            found.extend(strategy.blocks)
            found.extend(group.name for group in strategy.groups)
    return dict.fromkeys(found)
