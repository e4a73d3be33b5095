"""WD-aes, aes-B32-v0 (Waifu Diffusion): the probability that an anime picture is a good-looking one.

Three layers and a sigmoid on the normalised embedding of OpenAI's ViT-B-32 (waifu-diffusion/aesthetic, aesthetic.py).
The smallest CLIP here, and fast on the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.scoring.base import ScorerRow, WeightFile
from lib_optim.scoring.clip.head_rows import HEAD_OPTIONS, head_build, head_check
from lib_optim.scoring.clip.sources import OPENAI_B32, Published

__all__ = ["ROW", "WEIGHTS"]

_TITLE = "WD-aes"
_ID = "wdaes"
WEIGHTS = WeightFile(
    "aes-B32-v0.pth",
    "https://huggingface.co/hakurei/waifu-diffusion-v1-4/resolve/main/models/aes-B32-v0.pth",
    658_000,
    "",
    ("aes-B32-v0.safetensors", "WD_Aes.pth"),
)
_SAFE = "aes-B32-v0.pth of huggingface.co/hakurei/waifu-diffusion-v1-4 (folder models)"


def _choose(options: Mapping[str, Any]) -> tuple[WeightFile, Published]:
    del options
    return WEIGHTS, OPENAI_B32


ROW = ScorerRow(
    id=_ID,
    title=_TITLE,
    measures="Whether an anime picture looks good, the prompt aside.",
    fooled_by="Near 0 or 1 it hardly tells pictures apart; it learned from the pictures of one site.",
    reads_prompt=False,
    typical=(0.1, 0.95),
    raw_range="0 … 1 (a probability)",
    licence="not checked (hakurei/waifu-diffusion-v1-4: see its card; code AGPL-3.0); OpenAI's CLIP MIT (code)",
    memory=606_000_000,
    weights=(WEIGHTS, OPENAI_B32.file),
    packages=("open_clip",),
    batches=True,
    options=HEAD_OPTIONS,
    build=head_build(_ID, _TITLE, "WD_AES", _choose, _SAFE),
    check=head_check(_ID, _TITLE, _choose),
)
