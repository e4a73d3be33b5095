"""Published CLIP weights by open_clip's names for them: a model and a tag."""

from __future__ import annotations

from dataclasses import dataclass

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import WeightFile
from lib_optim.scoring.clip.sources import OPENAI_B16, OPENAI_B32, OPENAI_L14, OPENAI_L14_336
from lib_optim.scoring.clip.views import CROPPED, View
from lib_optim.scoring.pixels import CLIP_MEAN, CLIP_STD

__all__ = ["MODEL", "TAG", "Tagged", "tagged"]

_QUICK = "-quickgelu"
MODEL, TAG = "ViT-B-32", "laion2b_s34b_b79k"
# The default first; the others are the usual ones. Normalisation is CLIP's for all of these (open_clip, pretrained.py).
_HUB = {
    (MODEL, TAG): ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 605_000_000),
    ("ViT-B-16", "laion2b_s34b_b88k"): ("laion/CLIP-ViT-B-16-laion2B-s34B-b88K", 599_000_000),
    ("ViT-L-14", "datacomp_xl_s13b_b90k"): ("laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 1_710_000_000),
    ("ViT-H-14", "laion2b_s32b_b79k"): ("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", 3_945_000_000),
}
_OPENAI = {row.model.removesuffix(_QUICK): row for row in (OPENAI_B32, OPENAI_B16, OPENAI_L14, OPENAI_L14_336)}
_FITS = {"shortest": "crop", "squash": "squash"}
_FILE = "open_clip_pytorch_model.bin"


@dataclass(frozen=True)
class Tagged:
    """What a model and a tag stand for.

    Attributes:
        model: open_clip's name, with ``-quickgelu`` where the weights were trained so.
        file: Its weights.
        shared: Whether they lie in the folder of the CLIPs below heads, rather than in the scorer's own.
        view: How they were trained to see pictures.
    """

    model: str
    file: WeightFile
    shared: bool = False
    view: View = CROPPED


def tagged(model: str, tag: str, title: str) -> Tagged:
    """Return what `model` and `tag` stand for. Imports open_clip for tags that are not among the usual ones.

    Raises:
        ScorerError: open_clip does not know them, has them at no place that Optim can use, or prepares their pictures
            in a way that Optim does not.
    """
    openai = _OPENAI.get(model.removesuffix(_QUICK))
    if tag == "openai" and openai is not None:
        return Tagged(openai.model, openai.file, shared=True)
    if (model, tag) in _HUB:
        repository, size = _HUB[model, tag]
        return Tagged(model, _row(model, tag, f"{repository}/{_FILE}", size))
    return _listed(model, tag, title)


def _row(model: str, tag: str, place: str, size: int) -> WeightFile:
    owner, repository, file = place.split("/", 2)
    name = f"{model}-{tag}"
    url = f"https://huggingface.co/{owner}/{repository}/resolve/main/{file}"
    return WeightFile(f"{name}.bin", url, size, "", (f"{name}.safetensors", f"{name}.pt"))


def _listed(model: str, tag: str, title: str) -> Tagged:
    from lib_optim.scoring.openclip import architecture, load_open_clip

    lists = load_open_clip().pretrained
    name, quick = architecture(model)
    entry = lists.get_pretrained_cfg(name, tag)
    if not entry:
        tags = sorted({*lists.list_pretrained_tags_by_model(name), *(t for m, t in _HUB if m == name)})
        there = f"it knows {', '.join(tags)}" if tags else f"it knows none for {name}"
        raise ScorerError(
            f"{title} knows no download '{tag}' for {model} ({there}); choose one of them, or a weights file."
        )
    place = str(entry.get("hf_hub") or "").strip("/")
    if "/" not in place:
        raise ScorerError(
            f"{title}: the weights '{tag}' of {model} are not at huggingface.co; get {entry.get('url')} yourself and "
            "choose it as the weights file."
        )
    smoothing, fit = entry.get("interpolation") or "bicubic", _FITS.get(entry.get("resize_mode") or "shortest")
    if smoothing != "bicubic" or fit is None:
        raise ScorerError(
            f"{title}: {model} with {tag} wants its pictures resized another way ({smoothing}, "
            f"{entry.get('resize_mode')}) than Optim does it; choose other weights."
        )
    file = _row(model, tag, place if place.count("/") > 1 else f"{place}/{_FILE}", 0)
    if (quick or entry.get("quick_gelu")) and not name.endswith(_QUICK):
        name += _QUICK
    return Tagged(
        name, file, view=View(fit, tuple(entry.get("mean") or CLIP_MEAN), tuple(entry.get("std") or CLIP_STD))
    )
