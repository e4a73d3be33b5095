"""CLIPScore: how well a picture fits its prompt, by the cosine of the two CLIP embeddings.

    score = 2.5 · cos(image, text)

Hessel et al. 2021 (arXiv 2104.08718) define 2.5 · max(cos, 0). Without the maximum it is the same number wherever
the cosine is positive, which it is in practice, and has a slope where it is not. Their prefix "A photo depicts" is left
out: prompts rarely ask for photos of that kind. Scores of different CLIP models cannot be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import ImageContext, Progress, WeightFile, image_label
from lib_optim.scoring.pixels import CLIP_MEAN, CLIP_STD
from lib_optim.scoring.weights import find, missing_sentence, obtain, weights_folder

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["MODEL", "TAG", "ClipScorer", "build", "check", "weight_file"]

_TITLE = "CLIPScore"
_SCALE = 2.5
MODEL, TAG = "ViT-B-32", "laion2b_s34b_b79k"
# The default first; the others are the usual ones. Normalisation is CLIP's for all of these (open_clip, pretrained.py).
_HUB = {
    (MODEL, TAG): ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 605_000_000),
    ("ViT-B-16", "laion2b_s34b_b88k"): ("laion/CLIP-ViT-B-16-laion2B-s34B-b88K", 599_000_000),
    ("ViT-L-14", "datacomp_xl_s13b_b90k"): ("laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 1_710_000_000),
    ("ViT-H-14", "laion2b_s32b_b79k"): ("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", 3_945_000_000),
}
# logit_scale and logit_bias are in every file's own network; these are buffers of other versions of open_clip.
_EXTRAS = r"(text\.)?attn_mask|logit_bias"
# Files trained with other normalisation than CLIP's, by tag (open_clip, pretrained.py): mean and standard deviation.
_HALVES = (0.5, 0.5, 0.5)


class ClipScorer:
    """See the module.

    Args:
        model: open_clip's name of the architecture.
        file: A file with its weights; or the row that `obtain` finds or downloads in `folder`.
        folder: Where downloaded weights are.
        download: Whether a missing file may be downloaded.
        normalise: ``clip`` or ``half`` (mean and standard deviation .5), as the weights were trained with.
    """

    def __init__(
        self, model: str, file: Path | WeightFile, folder: Path, download: bool = False, normalise: str = "clip"
    ) -> None:
        self._model, self._file, self._folder, self._download = model, file, folder, download
        self._mean, self._std = (CLIP_MEAN, CLIP_STD) if normalise == "clip" else (_HALVES, _HALVES)
        self._network: torch.nn.Module | None = None
        self._device = "cpu"
        self._size = 0

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Build the network and fill it.

        Raises:
            ScorerError: open_clip or the file is missing, the model is unknown, or the file is another model's.
        """
        from lib_optim.scoring.openclip import build_network, own_layout
        from lib_optim.scoring.state_dicts import fill, read_state_dict

        if isinstance(self._file, WeightFile):
            path = obtain(_TITLE, self._file, self._folder, self._download, progress)
        elif self._file.is_file():
            path = self._file
        else:
            raise ScorerError(f"{_TITLE}: the weights file {self._file} does not exist; check the path.")
        if progress is not None:
            progress(f"{_TITLE}: loading {path.name}.")
        network = build_network(self._model)
        fill(network, own_layout(read_state_dict(path, _TITLE), network), _EXTRAS, _TITLE, path)
        size = network.visual.image_size
        self._size = int(size[0] if isinstance(size, tuple | list) else size)
        self._network, self._device = network.to(device), device

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return 2.5 times the cosine of each image and its prompt, of which the first 75 tokens count.

        One image at a time: a batch would differ from singles in the last bits.

        Raises:
            ScorerError: Not loaded, an image cannot be used, or a score is not finite.
        """
        import torch

        from lib_optim.scoring.openclip import tokenize
        from lib_optim.scoring.pixels import clip_pixels

        if self._network is None:
            raise ScorerError(f"{_TITLE} was asked for a score before it was loaded.")
        scores: list[float] = []
        for i, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            label = image_label(i, contexts)
            pixels = torch.from_numpy(clip_pixels(image, self._size, label, self._mean, self._std))
            with torch.inference_mode():
                seen = self._network.encode_image(pixels[None].to(self._device)).float()
                read = self._network.encode_text(tokenize(self._model, prompt).to(self._device)).float()
                value = _SCALE * float(torch.nn.functional.cosine_similarity(seen, read).item())
            if value - value != 0:
                raise ScorerError(f"{_TITLE} gave {value} for {label}, which is no score; its weights may be damaged.")
            scores.append(value)
        return scores

    def unload(self) -> None:
        """Free the network's memory."""
        if self._network is not None:
            from lib_optim.scoring.state_dicts import free

            self._network = None
            free(self._device)


def weight_file(model: str, tag: str) -> WeightFile:
    """Return the row of the published weights `tag` of `model`.

    Raises:
        ScorerError: None that Optim knows; names those that it does.
    """
    if (model, tag) not in _HUB:
        known = ", ".join(f"{m} with {t}" for m, t in _HUB)
        raise ScorerError(
            f"{_TITLE} knows no download '{tag}' for {model} (it knows {known}); choose one of them, or a weights file."
        )
    repository, size = _HUB[model, tag]
    name = f"{model}-{tag}"
    return WeightFile(
        f"{name}.bin",
        f"https://huggingface.co/{repository}/resolve/main/open_clip_pytorch_model.bin",
        size,
        "",
        (f"{name}.safetensors", f"{name}.pt"),
    )


def build(options: Mapping[str, Any], models_dir: Any) -> ClipScorer:
    """Return the scorer for the options ``model``, ``weights``, ``tag``, ``folder``, ``normalise``, ``download``.

    Raises:
        ScorerError: No weights file is given and the tag is unknown.
    """
    model, tag = str(options.get("model") or MODEL), str(options.get("tag") or TAG)
    weights = str(options.get("weights", "") or "").strip()
    return ClipScorer(
        model,
        Path(weights) if weights else weight_file(model, tag),
        weights_folder("clipscore", options, Path(models_dir)),
        bool(options.get("download", False)),
        str(options.get("normalise") or "clip"),
    )


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
        file = weight_file(model, tag)
    except ScorerError as error:
        return [*found, ("tag", str(error))]
    folder = weights_folder("clipscore", options, models_dir)
    if not options.get("download", False) and find(file, folder) is None:
        found.append(("weights", missing_sentence(_TITLE, file, folder)))
    return found
