"""LAION's aesthetic predictors, and Chad's, which has the shape of the second: heads on OpenAI's CLIP.

v1 is linear on the normalised embedding (LAION-AI/aesthetic-predictor). v2 is five layers
(christophschuhmann/improved-aesthetic-predictor); without activations, as in the two ``linearMSE`` files and in Chad's,
they are a linear function too, unbounded and easy to exploit. The SHA-256 of all files were computed from the files
in the authors' repositories.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.scoring.base import OptionRow, ScorerRow, WeightFile
from lib_optim.scoring.clip.head_rows import HEAD_OPTIONS, head_build, head_check
from lib_optim.scoring.clip.sources import OPENAI_B16, OPENAI_B32, OPENAI_L14, Published

__all__ = ["CHAD", "ROWS", "V1", "V2"]

_RAW = "https://raw.githubusercontent.com"
_V1 = f"{_RAW}/LAION-AI/aesthetic-predictor/6d122adad522ab246644d9dc1c6d7a3810ee255f"
_V2 = f"{_RAW}/christophschuhmann/improved-aesthetic-predictor/6934dd81792f086e613a121dbce43082cb8be85e"
_CHAD = f"{_RAW}/grexzen/SD-Chad/5e4e513be1d980a49cc4b7d244d97c18ca733fb7"

V1: dict[str, tuple[WeightFile, Published]] = {
    "ViT-L-14": (
        WeightFile(
            "sa_0_4_vit_l_14_linear.pth",
            f"{_V1}/sa_0_4_vit_l_14_linear.pth",
            4_071,
            "2cd4e60f4f24ae3bcd57b847b13c1f3ba27edc28cc1a7f9ce74ee9f421243cba",
            ("sa_0_4_vit_l_14_linear.safetensors",),
        ),
        OPENAI_L14,
    ),
    "ViT-B-16": (
        WeightFile(
            "sa_0_4_vit_b_16_linear.pth",
            f"{_V1}/sa_0_4_vit_b_16_linear.pth",
            3_047,
            "8ad3923d7ecf019df20ecd2ab5542a3075fbba0278d239c0371345f3d7fcbde0",
        ),
        OPENAI_B16,
    ),
    "ViT-B-32": (
        WeightFile(
            "sa_0_4_vit_b_32_linear.pth",
            f"{_V1}/sa_0_4_vit_b_32_linear.pth",
            3_047,
            "c7b14cead230694acc7b9447974d3cad78003c72da032e402a303b6c2429e85f",
        ),
        OPENAI_B32,
    ),
}
V2: dict[str, WeightFile] = {
    "sac+logos+ava1-linearMSE": WeightFile(
        "sac+logos+ava1-l14-linearMSE.pth",
        f"{_V2}/sac%2Blogos%2Bava1-l14-linearMSE.pth",
        3_714_759,
        "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
        ("laion-sac-logos-ava-v2.safetensors", "Laion.pth"),
    ),
    "ava+logos-linearMSE": WeightFile(
        "ava+logos-l14-linearMSE.pth",
        f"{_V2}/ava%2Blogos-l14-linearMSE.pth",
        3_714_759,
        "390a3aafaf3b37d57148f9b22f30556de38343064b7d915acfa80d3812b4c9ff",
    ),
    "ava+logos-reluMSE": WeightFile(
        "ava+logos-l14-reluMSE.pth",
        f"{_V2}/ava%2Blogos-l14-reluMSE.pth",
        3_714_887,
        "0af3254c651d55b7ea851429c20f26ec880bb0169805a4df85b814bd7966f3e4",
    ),
}
CHAD = WeightFile(
    "chadscorer.pth",
    f"{_CHAD}/chadscorer.pth",
    3_714_759,
    "ba265592f419d88ad66216257d54c57eae08ae2fde0b8be167bbe7ddc09206bd",
    ("Chad.pth",),
)
_DEFAULT_V1, _DEFAULT_V2 = next(iter(V1)), next(iter(V2))


def _choose_v1(options: Mapping[str, Any]) -> tuple[WeightFile, Published]:
    return V1[str(options.get("clip") or _DEFAULT_V1)]


def _choose_v2(options: Mapping[str, Any]) -> tuple[WeightFile, Published]:
    return V2[str(options.get("head") or _DEFAULT_V2)], OPENAI_L14


def _choose_chad(options: Mapping[str, Any]) -> tuple[WeightFile, Published]:
    del options
    return CHAD, OPENAI_L14


_SAFE_V1 = "a file of github.com/LAION-AI/aesthetic-predictor"
_SAFE_V2 = "a file of github.com/christophschuhmann/improved-aesthetic-predictor"
_SAFE_CHAD = "chadscorer.pth of github.com/grexzen/SD-Chad"

ROWS = (
    ScorerRow(
        id="laion1",
        title="LAION aesthetic v1",
        measures="How good a picture looks, the prompt aside: learned from ratings of 4,000 generated pictures.",
        fooled_by="Saturated colours, bokeh, portraits and painterly effects; a linear score, without an upper end.",
        reads_prompt=False,
        typical=(4.0, 7.0),
        raw_range="about 1 … 10, unbounded",
        licence="MIT (LAION-AI/aesthetic-predictor); OpenAI's CLIP MIT (code; its weights name none)",
        memory=1_711_000_000,
        weights=(V1[_DEFAULT_V1][0], OPENAI_L14.file),
        packages=("open_clip",),
        batches=True,
        options=(
            OptionRow("clip", "Which of the three CLIP models", "choice", _DEFAULT_V1, choices=tuple(V1)),
            *HEAD_OPTIONS,
        ),
        build=head_build("laion1", "LAION aesthetic v1", "LINEAR", _choose_v1, _SAFE_V1),
        check=head_check("laion1", "LAION aesthetic v1", _choose_v1),
    ),
    ScorerRow(
        id="laion2",
        title="LAION aesthetic v2",
        measures="How good a picture looks, the prompt aside: learned from rated photographs, art and logos.",
        fooled_by="Saturated colours, bokeh, realism (it dislikes flat drawing); a linear score, without an upper end.",
        reads_prompt=False,
        typical=(4.5, 6.9),
        raw_range="about 1 … 10, mean 5.2; unbounded",
        licence="Apache-2.0 (christophschuhmann/improved-aesthetic-predictor); OpenAI's CLIP MIT (code)",
        memory=1_714_000_000,
        weights=(V2[_DEFAULT_V2], OPENAI_L14.file),
        packages=("open_clip",),
        batches=True,
        options=(
            OptionRow("head", "Which of the three published heads", "choice", _DEFAULT_V2, choices=tuple(V2)),
            *HEAD_OPTIONS,
        ),
        build=head_build("laion2", "LAION aesthetic v2", "MLP", _choose_v2, _SAFE_V2),
        check=head_check("laion2", "LAION aesthetic v2", _choose_v2),
    ),
    ScorerRow(
        id="chad",
        title="Chad",
        measures="How good a picture looks, the prompt aside: learned from 200,000 rated Stable Diffusion pictures.",
        fooled_by="As LAION aesthetic v2, whose shape it has; it knows pictures of Stable Diffusion 1 only.",
        reads_prompt=False,
        typical=(5.5, 7.7),
        raw_range="about 1 … 10, unbounded; its author keeps what is above 7.7",
        licence="Apache-2.0 (grexzen/SD-Chad); OpenAI's CLIP MIT (code)",
        memory=1_714_000_000,
        weights=(CHAD, OPENAI_L14.file),
        packages=("open_clip",),
        batches=True,
        options=HEAD_OPTIONS,
        build=head_build("chad", "Chad", "MLP", _choose_chad, _SAFE_CHAD),
        check=head_check("chad", "Chad", _choose_chad),
    ),
)
