"""Rows of the registry: judges that are no CLIP, and the remote one."""

from __future__ import annotations

from lib_optim.scoring import across, background, blipitm, classifier, remote
from lib_optim.scoring.base import OptionRow, ScorerRow, WeightFile
from lib_optim.scoring.imagereward import VOCABULARY
from lib_optim.scoring.likeness import WAYS

__all__ = ["JUDGES"]

_MB = 10**6
_CAFE, _SHADOW = "https://huggingface.co/cafeai/cafe_aesthetic", "https://huggingface.co/Disty0/aesthetic-shadow-v2"
_FOLDER = OptionRow("folder", "Folder with its three files (empty: the scorers' models folder)", "path", "")
_BY = OptionRow(
    "by", "How to tell (embedding: what is shown; lpips: what it looks like)", "choice", WAYS[0], choices=WAYS
)
_BY_FOLDER = OptionRow("folder", "Folder with the weights for that (none for simple)", "path", "")

JUDGES: tuple[ScorerRow, ...] = (
    ScorerRow(
        id="blip-itm",
        title="BLIP-ITM",
        measures="The probability that the prompt belongs to the picture; it reads 33 word pieces of it.",
        fooled_by="Tag lists, and prompts of several things of which most are there; near 0 or 1 for many pictures.",
        reads_prompt=True,
        typical=(0.0, 1.0),
        licence="BSD-3-Clause (Salesforce); vocabulary Apache-2.0 (google-bert/bert-base-uncased)",
        memory=895 * _MB,
        weights=(blipitm.WEIGHTS, VOCABULARY),
        packages=(),
        options=(
            OptionRow("folder", "Folder with the weight files (empty: the scorers' models folder)", "path", ""),
            OptionRow("download", "Download missing weights", "bool", False),
        ),
        build=blipitm.build,
        check=blipitm.check,
    ),
    ScorerRow(
        id="cafe-aesthetic",
        title="Cafe aesthetic",
        measures="The probability that people would call the picture aesthetic; anime and photographs.",
        fooled_by="Polish of any kind; it knows nothing of the prompt, and most good pictures get nearly the same.",
        reads_prompt=False,
        typical=(0.2, 0.95),
        licence="as its page says (cafeai/cafe_aesthetic)",
        memory=345 * _MB,
        weights=(WeightFile("model.safetensors", f"{_CAFE}/resolve/main/model.safetensors", 345 * _MB, ""),),
        packages=(),
        options=(_FOLDER, OptionRow("label", "The class that counts", "text", "aesthetic")),
        build=classifier.builder("cafe-aesthetic", "Cafe aesthetic", _CAFE, "aesthetic"),
        check=classifier.checker("cafe-aesthetic", "Cafe aesthetic", _CAFE),
    ),
    ScorerRow(
        id="aesthetic-shadow",
        title="Aesthetic shadow v2",
        measures="The probability that an anime picture is of high quality; it looks at 1024 × 1024 pixels.",
        fooled_by="Noise: users saw above .99 for pictures that were mostly noise. Use it beside other judges.",
        reads_prompt=False,
        typical=(0.2, 0.95),
        licence="unclear: its author took it down, others keep copies",
        memory=1_230 * _MB,
        weights=(WeightFile("model.safetensors", f"{_SHADOW}/resolve/main/model.safetensors", 1_230 * _MB, ""),),
        packages=(),
        options=(_FOLDER, OptionRow("label", "The class that counts", "text", "hq")),
        build=classifier.builder("aesthetic-shadow", "Aesthetic shadow v2", _SHADOW, "hq"),
        check=classifier.checker("aesthetic-shadow", "Aesthetic shadow v2", _SHADOW),
    ),
    ScorerRow(
        id="nsfw",
        title="NSFW guard",
        measures="No quality: a picture that a classifier of your choice finds unsafe fails its trial.",
        fooled_by="Whatever fools that classifier; its score, 1 minus the probability, is no reward worth a weight.",
        reads_prompt=False,
        typical=(0.0, 1.0),
        licence="as that of the classifier's files",
        memory=345 * _MB,
        weights=(),
        packages=(),
        options=(
            OptionRow("folder", "Folder with the classifier's three files (ViT or BEiT)", "path", "", required=True),
            OptionRow("label", "The unsafe class", "text", "nsfw"),
            OptionRow("limit", "Probability from which a picture fails", "number", 0.5),
        ),
        build=classifier.builder("nsfw", "NSFW guard", "", "nsfw", guard=True),
        check=classifier.checker("nsfw", "NSFW guard", "", guard=True),
    ),
    ScorerRow(
        id="background",
        title="Background blackness",
        measures="A black background: how black the outer tenth of the picture is on all sides.",
        fooled_by="A black picture is perfect to it; a subject that reaches the edge counts as background.",
        reads_prompt=False,
        typical=(0.3, 1.0),
        licence="none needed (no weights)",
        memory=0,
        weights=(),
        packages=(),
        options=(),
        build=background.build,
        devices=("cpu",),
    ),
    ScorerRow(
        id="consistency",
        title="Consistency",
        measures="Images of one payload that look alike: in colours, edges and layout, or to a network.",
        fooled_by="Equal and blank pictures are perfect; 'simple' knows no faces. Needs payloads of 2 images or more.",
        reads_prompt=False,
        typical=(0.5, 0.9),
        licence="none needed (no weights)",
        memory=0,
        weights=(),
        packages=(),
        options=(_BY, _BY_FOLDER),
        build=across.builder("Consistency", alike=True),
        check=across.checker("Consistency"),
        across=True,
    ),
    ScorerRow(
        id="diversity",
        title="Diversity",
        measures="Images of one payload that differ: in colours, edges and layout, or to a network.",
        fooled_by="Broken pictures are diverse: use it beside a judge of quality. Needs payloads of 2 images or more.",
        reads_prompt=False,
        typical=(0.1, 0.5),
        licence="none needed (no weights)",
        memory=0,
        weights=(),
        packages=(),
        options=(_BY, _BY_FOLDER),
        build=across.builder("Diversity", alike=False),
        check=across.checker("Diversity"),
        across=True,
    ),
    ScorerRow(
        id="remote",
        title="Remote scorer",
        measures="What a program at an address of yours says: a judge in its own environment, here or elsewhere.",
        fooled_by="Whatever fools that judge; and images and prompts go to that address.",
        reads_prompt=True,
        typical=(0.0, 1.0),
        licence="as the other side's weights say",
        memory=0,
        weights=(),
        packages=(),
        options=(
            OptionRow("url", "Its address, such as http://127.0.0.1:7870", "text", "", required=True),
            OptionRow("options", "Options for it, as JSON", "text", ""),
            OptionRow("k", "Caution: score minus k times its uncertainty", "number", 0.0),
            OptionRow("bad", "Its score of a bad image (empty: as it says)", "number", None),
            OptionRow("good", "Its score of a good image (empty: as it says)", "number", None),
            OptionRow("timeout", "Seconds to wait for an answer", "number", 120.0),
            OptionRow("retries", "How often to ask again", "number", 2),
        ),
        build=remote.build,
        devices=("cpu",),
        check=remote.check,
    ),
)
