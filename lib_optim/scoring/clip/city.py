"""CityAesthetics-Anime v1.8 (city96): how good an anime picture looks, from 0 to 1.

A head with one residual block on the projected embedding of OpenAI's ViT-L-14 at 336 pixels, which is *not* brought to
length 1 (city96/CityClassifiers, inference.py and model.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.scoring.base import ScorerRow, WeightFile
from lib_optim.scoring.clip.head_rows import HEAD_OPTIONS, head_build, head_check
from lib_optim.scoring.clip.sources import OPENAI_L14_336, Published

__all__ = ["ROW", "WEIGHTS"]

_TITLE = "CityAesthetics-Anime"
_ID = "cityaesthetics"
WEIGHTS = WeightFile(
    "CityAesthetics-Anime-v1.8.safetensors",
    "https://huggingface.co/city96/CityAesthetics/resolve/main/CityAesthetics-Anime-v1.8.safetensors",
    16_313_000,
    "",
)
_SAFE = "CityAesthetics-Anime-v1.8.safetensors of huggingface.co/city96/CityAesthetics"


def _choose(options: Mapping[str, Any]) -> tuple[WeightFile, Published]:
    del options
    return WEIGHTS, OPENAI_L14_336


ROW = ScorerRow(
    id=_ID,
    title=_TITLE,
    measures="How good an anime picture with at least one subject looks, by its author's taste.",
    fooled_by="Filters male characters; text, manga panels, 3D, chibi and photographs score low, good or not.",
    reads_prompt=False,
    typical=(0.3, 0.8),
    raw_range="0 … 1; sketches 0.2 … 0.4, flat shading 0.4 … 0.5",
    licence="not checked (city96/CityAesthetics: see its card); OpenAI's CLIP MIT (code)",
    memory=1_728_000_000,
    weights=(WEIGHTS, OPENAI_L14_336.file),
    packages=("open_clip",),
    batches=True,
    options=HEAD_OPTIONS,
    build=head_build(_ID, _TITLE, "CITY", _choose, _SAFE),
    check=head_check(_ID, _TITLE, _choose),
)
