"""The orders in which the field writes block weights, as data: which blocks the numbers of a pasted string mean.

Sources: the help texts of supermerger, model-mixer, runtime-block-merge (two forks) and auto-MBW, and the files that
they write. A string of numbers says nothing of its order, so a count that several programs use is never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FOREIGN_COUNTS", "LAYOUTS", "NO_TEXT", "Layout", "layouts_of"]


def _span(name: str, last: int) -> tuple[str, ...]:
    return tuple(f"{name}{i:02d}" for i in range(last + 1))


_LONG = (*_span("IN", 11), "M00", *_span("OUT", 11))
_SHORT = (*_span("IN", 8), "M00", *_span("OUT", 8))


@dataclass(frozen=True)
class Layout:
    """One order of numbers.

    Attributes:
        id: Names the order where several have the same count.
        title: What it is, for the user.
        names: The block of each number.
        maps: Ids of the block maps for which programs write it.
        note: What to know when it is used on one of the maps, by map id.
    """

    id: str
    title: str
    names: tuple[str, ...]
    maps: tuple[str, ...]
    note: Mapping[str, str]


_DROPPED = "IN09-IN11 and OUT09-OUT11, which SDXL does not have, are left out, as supermerger does."
NO_TEXT = "The text encoder (BASE) is not among these numbers."
_DEAD = {"sd1": NO_TEXT, "sdxl": f"{NO_TEXT} {_DROPPED}"}

LAYOUTS: tuple[Layout, ...] = (
    Layout("base-first", "26 numbers, BASE first", ("BASE", *_LONG), ("sd1", "sdxl"), {"sdxl": _DROPPED}),
    Layout("unet", "25 numbers of the UNet", _LONG, ("sd1", "sdxl"), _DEAD),
    Layout("ends-last", "27 numbers: IN00-IN11, M00, OUT00-OUT11, OUT, TIME_EMBED (runtime-block-merge of 6DammK9, "
           "recipe files and metadata of auto-MBW)", (*_LONG, "FINAL", "TIME"), ("sd1", "sdxl"), _DEAD),
    Layout("time-before-out", "27 numbers: IN00-IN11, M00, OUT00-OUT11, TIME_EMBED, OUT (runtime-block-merge of "
           "Xynonners)", (*_LONG, "TIME", "FINAL"), ("sd1", "sdxl"), _DEAD),
    Layout("sliders", "27 numbers: IN00-IN11, M00, OUT, OUT00-OUT11, TIME_EMBED (auto-MBW's sliders, console and "
           "CSV)", (*_LONG[:13], "FINAL", *_LONG[13:], "TIME"), ("sd1", "sdxl"), _DEAD),
    Layout("xl-base-first", "20 numbers, BASE first", ("BASE", *_SHORT), ("sdxl",), {}),
    Layout("xl-vae-last", "21 numbers, BASE first, VAE last", ("BASE", *_SHORT, "VAE"), ("sdxl",), {}),
    Layout("xl-unet", "19 numbers of the UNet", _SHORT, ("sdxl",), {"sdxl": NO_TEXT}),
)  # fmt: skip

_OTHER_MODEL = "they are for models of another kind ({})"
FOREIGN_COUNTS: Mapping[int, str] = {
    11: "they are weights for a LoRA, not for a merge of checkpoints",
    12: "they are weights for a LoRA, not for a merge of checkpoints",
    17: "they are weights for a LoRA, not for a merge of checkpoints",
    58: _OTHER_MODEL.format("Flux"),
    61: _OTHER_MODEL.format("Flux"),
    110: "they are supermerger's long SDXL form, with a weight per part of a block, and Optim has one per block",
}
"""What strings of that many numbers are, where they cannot be used."""


def layouts_of(map_id: str, count: int) -> tuple[Layout, ...]:
    """Return the orders that `count` numbers may have for a model with this block map."""
    return tuple(row for row in LAYOUTS if map_id in row.maps and len(row.names) == count)
