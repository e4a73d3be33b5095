"""Block weights as people copy them into other programs."""

from __future__ import annotations

from collections.abc import Mapping

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.weight_names import main_blocks

__all__ = ["write_weights"]

_WRITTEN = {"TIME": "time_embed", "FINAL": "out"}  # as runtime-block-merge calls them


def write_weights(weights: Mapping[str, float], blocks: BlockMap, digits: int | None = 4) -> dict[str, str]:
    """Write block weights in the forms of the field.

    Args:
        weights: Block to weight; a block that is absent counts as 0, that is, as in model A.
        blocks: The block map.
        digits: Decimals to round to; None keeps every digit.

    Returns:
        ``classic``: BASE first, then the UNet (26 numbers for SD1, 20 for SDXL); ``named``: with names, and with
        those blocks that differ from the one they follow; ``unet``: the UNet's numbers after a line with BASE.
    """

    def number(value: float) -> str:
        value = float(value) if digits is None else round(float(value), digits)
        return repr(value + 0.0).removesuffix(".0")  # no -0

    main = main_blocks(blocks)
    values = {name: number(weights.get(name, 0.0)) for name in main}
    named = [f"{name.casefold()}:{values[name]}" for name in main]
    for block in blocks.blocks:
        if block.name in weights and block.name not in values and block.key is None:
            text = number(weights[block.name])
            if block.follows is None or text != values.get(block.follows):
                named.append(f"{_WRITTEN.get(block.name, block.name.casefold())}:{text}")
    unet = [values[b.name] for b in blocks.blocks if b.name in values and b.component == "unet"]
    text_encoder = [values[b.name] for b in blocks.blocks if b.name in values and b.component != "unet"]
    alone = f"base_alpha={text_encoder[0]}\n" if len(text_encoder) == 1 else ""
    return {"classic": ",".join(values.values()), "named": ",".join(named), "unet": alone + ",".join(unet)}
