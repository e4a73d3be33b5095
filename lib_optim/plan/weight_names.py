"""The names that other merge programs give to blocks."""

from __future__ import annotations

import re

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.matching import match_blocks

__all__ = ["blocks_named", "main_blocks"]

_ALIASES = {
    "BASE_ALPHA": "BASE", "TIME_EMBED": "TIME", "LABEL_EMBED": "LABEL", "LABEL_EMB": "LABEL", "OUT": "FINAL",
    "OUT_FINAL": "FINAL", "MID": "M00", "M": "M00",
}  # fmt: skip


def main_blocks(blocks: BlockMap) -> tuple[str, ...]:
    """Return the blocks with a classic number: text encoder and UNet, without those that follow another."""
    return tuple(b.name for b in blocks.blocks if b.follows is None and b.component != "vae")


def blocks_named(text: str, blocks: BlockMap) -> tuple[str, ...]:
    """Return the blocks that one name, range, wildcard or ``NOT name`` means; ``all`` is the whole UNet.

    Raises:
        PlanError: It means none; names the nearest.
    """
    upper = text.upper()
    main = main_blocks(blocks)
    pool = tuple(b for b in blocks.blocks if b.name in main)
    if upper == "ALL":
        return tuple(b.name for b in pool if b.component == "unet")
    if upper.startswith("NOT "):
        left_out = set(blocks_named(text[4:].strip(), blocks))
        return tuple(name for name in main if name not in left_out)
    if upper == "INP*":
        text = "IN*"
    name = _canonical(upper, blocks)
    if any(block.name == name for block in blocks.blocks):
        return (name,)
    return match_blocks(["-".join(_canonical(end, blocks) for end in text.upper().split("-"))], pool, blocks.id)


def _canonical(name: str, blocks: BlockMap) -> str:
    """Return our name of a block that another program names in its own way."""
    name = name.strip().removeprefix("UNET_")
    if found := re.fullmatch(r"(IN|MID|M|OUT)_?(\d{1,2})", name):
        return f"{'M' if found[1] == 'MID' else found[1]}{int(found[2]):02d}"
    if found := re.fullmatch(r"BLOCK_(\d{1,2})(?:_ALPHA)?", name):  # bayesian-merger
        unet = [b.name for b in blocks.blocks if b.component == "unet" and b.follows is None]
        return unet[int(found[1])] if int(found[1]) < len(unet) else name
    return _ALIASES.get(name, name)
