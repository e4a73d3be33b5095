"""The scorers on CLIP, as rows of the registry, in the order in which they are shown."""

from __future__ import annotations

from lib_optim.scoring import clipscore
from lib_optim.scoring.base import ScorerRow
from lib_optim.scoring.clip import city, hpsv2, laion, pickscore, waifu, wd_aes

__all__ = ["CLIP_ROWS"]

CLIP_ROWS: tuple[ScorerRow, ...] = (
    pickscore.ROW,
    hpsv2.ROW,
    clipscore.ROW,
    *laion.ROWS,
    waifu.ROW,
    city.ROW,
    wd_aes.ROW,
)
