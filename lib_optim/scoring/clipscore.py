"""CLIPScore: how well a picture fits its prompt, by the cosine of the two CLIP embeddings.

    score = 2.5 · cos(image, text)

Hessel et al. 2021 (arXiv 2104.08718) define 2.5 · max(cos, 0). Without the maximum it is the same number wherever
the cosine is positive, which it is in practice, and has a slope where it is not. Their prefix "A photo depicts" is left
out: prompts rarely ask for photos of that kind. Scores of different CLIP models cannot be compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import OptionRow, ScorerRow
from lib_optim.scoring.clip.head_rows import CLIP_FOLDER
from lib_optim.scoring.clip.sources import DOWNLOAD, FOLDER, ClipSource, file_problems
from lib_optim.scoring.clip.tags import MODEL, TAG, tagged
from lib_optim.scoring.clip.views import CROPPED, HALF
from lib_optim.scoring.pixels import CLIP_MEAN, CLIP_STD
from lib_optim.scoring.weights import weights_folder

if TYPE_CHECKING:
    from lib_optim.scoring.clip.scorer import PairScorer

__all__ = ["ROW", "build", "check"]

_TITLE = "CLIPScore"
_ID = "clipscore"
_SCALE = 2.5
_WAYS = ("auto", "clip", "half")


def build(options: Mapping[str, Any], models_dir: Any) -> PairScorer:
    """Return the scorer for the options ``model``, ``weights``, ``tag``, ``normalise``, ``folder``, ``download``.

    Raises:
        ScorerError: No weights file is given and the tag is unknown.
    """
    from lib_optim.scoring.clip.scorer import PairScorer

    model, tag = str(options.get("model") or MODEL), str(options.get("tag") or TAG)
    own = str(options.get("weights", "") or "").strip()
    way = str(options.get("normalise") or _WAYS[0])
    download = bool(options.get("download", False))
    if own:
        source, view = ClipSource(model, Path(own), Path(models_dir), download), CROPPED
    else:
        found = tagged(model, tag, _TITLE)
        folder = weights_folder(CLIP_FOLDER if found.shared else _ID, options, Path(models_dir))
        source, view = ClipSource(found.model, found.file, folder, download), found.view
    if way != "auto":
        mean, std = (HALF, HALF) if way == "half" else (CLIP_MEAN, CLIP_STD)
        view = dataclasses.replace(view, mean=mean, std=std)
    return PairScorer(_TITLE, source, _SCALE, view)


def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[Any]) -> list[tuple[str, str]]:
    """Return what is wrong with model and weights, for the plan check."""
    del jobs
    from lib_optim.scoring.openclip import model_problem

    model, tag = str(options.get("model") or MODEL), str(options.get("tag") or TAG)
    problem = model_problem(model)
    found = [("model", f"{_TITLE}: {problem}")] if problem else []
    if str(options.get("weights", "") or "").strip():
        return found
    try:
        row = tagged(model, tag, _TITLE)
    except ScorerError as error:
        return [*found, ("tag", str(error))]
    return found + file_problems(
        _TITLE, {"weights": (row.file, CLIP_FOLDER if row.shared else _ID)}, options, models_dir
    )


ROW = ScorerRow(
    id=_ID,
    title=_TITLE,
    measures="How well the picture fits the prompt: 2.5 times the cosine of their CLIP embeddings.",
    fooled_by="Written words in the picture, and a prompt of more than 75 tokens, of which it reads the beginning.",
    reads_prompt=True,
    typical=(0.4, 0.85),
    raw_range="about 0.4 … 0.85 with ViT-B-32",
    licence="MIT (laion, ViT-B-32 laion2b_s34b_b79k); others as their files say",
    memory=605_000_000,
    weights=(tagged(MODEL, TAG, _TITLE).file,),
    packages=("open_clip",),
    batches=True,
    options=(
        OptionRow("model", "open_clip's name of the model", "text", MODEL),
        OptionRow("weights", "File with its weights (empty: the published ones below)", "path", ""),
        OptionRow("tag", "Published weights: any tag of open_clip", "text", TAG),
        OptionRow(
            "normalise",
            "Pixel normalisation of the weights (half: mean and deviation .5; auto: as the tag wants it, else clip)",
            "choice",
            _WAYS[0],
            choices=_WAYS,
        ),
        FOLDER,
        DOWNLOAD,
    ),
    build=build,
    check=check,
)
