"""waifu-scorer v3 (Eugeoter): how good an anime picture looks, from 0 to 10.

A head with batch normalisation on the normalised embedding of OpenAI's ViT-L-14; its output is cut to [0, 10], as its
author does. (The author doubles a single picture, for training's sake: in evaluation that changes nothing.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.scoring.base import ScorerRow, WeightFile
from lib_optim.scoring.clip.head_rows import HEAD_OPTIONS, head_build, head_check
from lib_optim.scoring.clip.sources import OPENAI_L14, Published

__all__ = ["ROW", "WEIGHTS"]

_TITLE = "waifu-scorer v3"
_ID = "waifu"
WEIGHTS = WeightFile(
    "waifu-scorer-v3.safetensors",
    "https://huggingface.co/Eugeoter/waifu-scorer-v3/resolve/main/model.safetensors",
    11_200_000,
    "",
    ("waifu-scorer-v3.pth",),
)
_SAFE = "model.safetensors of huggingface.co/Eugeoter/waifu-scorer-v3"


def _choose(options: Mapping[str, Any]) -> tuple[WeightFile, Published]:
    del options
    return WEIGHTS, OPENAI_L14


ROW = ScorerRow(
    id=_ID,
    title=_TITLE,
    measures="How good an anime picture looks, the prompt aside.",
    fooled_by="Polished rendering of a single girl; photographs and other styles are foreign to it.",
    reads_prompt=False,
    typical=(2.0, 8.0),
    raw_range="0 … 10",
    licence="unclear: its card says openrail and Apache-2.0 (Eugeoter/waifu-scorer-v3); OpenAI's CLIP MIT (code)",
    memory=1_722_000_000,
    weights=(WEIGHTS, OPENAI_L14.file),
    packages=("open_clip",),
    batches=True,
    options=HEAD_OPTIONS,
    build=head_build(_ID, _TITLE, "WAIFU", _choose, _SAFE),
    check=head_check(_ID, _TITLE, _choose),
)
