"""PickScore v1 (Kirstain et al. 2023, arXiv 2305.01569): which of two pictures people would pick for a prompt.

    score = exp(logit_scale) · cos(image, text)        about 100 · cosine

A CLIP ViT-H-14 trained on choices of users of one website, published in transformers' layout; picture and prompt are
prepared as laion/CLIP-ViT-H-14-laion2B-s32B-b79K does (shorter side to 224, centre crop). Formula: their README.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib_optim.scoring.base import ScorerRow, WeightFile
from lib_optim.scoring.clip.pair_rows import PAIR_OPTIONS, pair_build, pair_check

if TYPE_CHECKING:
    from lib_optim.scoring.clip.scorer import PairScorer
    from lib_optim.scoring.clip.sources import ClipSource

__all__ = ["ROW", "WEIGHTS", "build", "check"]

_TITLE = "PickScore"
_ID = "pickscore"
_MODEL = "ViT-H-14"
WEIGHTS = WeightFile(
    "PickScore_v1.safetensors",
    "https://huggingface.co/yuvalkirstain/PickScore_v1/resolve/main/model.safetensors",
    3_945_000_000,
    "",
    ("PickScore_v1.bin", "Pick-A-Pic.safetensors"),
)


def _scorer(source: ClipSource) -> PairScorer:
    from lib_optim.scoring.clip.scorer import PairScorer

    return PairScorer(_TITLE, source, scale=None)


build = pair_build(_ID, _MODEL, WEIGHTS, _scorer)
check = pair_check(_ID, _TITLE, WEIGHTS)

ROW = ScorerRow(
    id=_ID,
    title=_TITLE,
    measures="Which of two pictures for the same prompt people would pick.",
    fooled_by="Vivid, detailed, centred pictures whatever the prompt; it reads 75 tokens, and tag lists badly.",
    reads_prompt=True,
    typical=(18.0, 23.0),
    raw_range="about 17 … 24 (100 · cosine)",
    licence="MIT (yuvalkirstain/PickScore, the code; its model card was not read)",
    memory=3_945_000_000,
    weights=(WEIGHTS,),
    packages=("open_clip",),
    batches=True,
    options=PAIR_OPTIONS,
    build=build,
    check=check,
)
