"""HPSv2.1 (Wu et al. 2023, arXiv 2306.09341): what people would prefer, given the prompt.

    score = cos(image, text)

A CLIP ViT-H-14 trained on human preferences, published in open_clip's layout inside ``state_dict``. It sees the whole
picture, fitted to a square with black bars, not a crop (hpsv2 1.2.0, img_score.py: ``light_augmentation=True``, hence
``ResizeMaxSize``). Scores of 2.0 and 2.1 cannot be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib_optim.scoring.base import ScorerRow, WeightFile
from lib_optim.scoring.clip.pair_rows import PAIR_OPTIONS, pair_build, pair_check

if TYPE_CHECKING:
    from lib_optim.scoring.clip.scorer import PairScorer
    from lib_optim.scoring.clip.sources import ClipSource

__all__ = ["ROW", "WEIGHTS", "build", "check"]

_TITLE = "HPSv2.1"
_ID = "hpsv2"
_MODEL = "ViT-H-14"
WEIGHTS = WeightFile(
    "HPS_v2.1_compressed.pt",
    "https://huggingface.co/xswu/HPSv2/resolve/main/HPS_v2.1_compressed.pt",
    1_973_000_000,
    "",
    ("HPS_v2.1.safetensors", "HPS_v2.1.pt"),
)


def _scorer(source: ClipSource) -> PairScorer:
    from lib_optim.scoring.clip.scorer import PairScorer
    from lib_optim.scoring.clip.views import PADDED

    return PairScorer(_TITLE, source, view=PADDED)


build = pair_build(_ID, _MODEL, WEIGHTS, _scorer)
check = pair_check(_ID, _TITLE, WEIGHTS)

ROW = ScorerRow(
    id=_ID,
    title=_TITLE,
    measures="What people prefer among pictures of the same prompt: looks first, then fidelity to it.",
    fooled_by="Glossy, saturated, finely detailed pictures; scores of different prompts cannot be compared.",
    reads_prompt=True,
    typical=(0.20, 0.32),
    raw_range="about 0.20 … 0.35 (cosine)",
    licence="Apache-2.0 (tgxs002/HPSv2)",
    memory=3_945_000_000,
    weights=(WEIGHTS,),
    packages=("open_clip",),
    batches=True,
    options=PAIR_OPTIONS,
    build=build,
    check=check,
)
