"""BLIP-ITM (Li et al. 2022, arXiv 2201.12086): the probability that a text belongs to a picture.

The towers are those of `blip`; a linear layer on the text's first token tells "no" from "yes". Weights are the files
of transformers' BlipForImageTextRetrieval (Salesforce/blip-itm-base-coco, -flickr, and the large ones), or the same
tensors under the original names; how large the network is, their shapes say. Prepared as the original does: the
picture is squeezed to a square, 384 pixels wide, the text cut to 35 word pieces.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import ImageContext, Progress, WeightFile, image_label
from lib_optim.scoring.imagereward import VOCABULARY
from lib_optim.scoring.pixels import CLIP_MEAN, CLIP_STD
from lib_optim.scoring.vit_files import Preparation
from lib_optim.scoring.weights import missing_files, obtain, weights_folder

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from lib_optim.scoring.blip import Sizes, Towers
    from lib_optim.scoring.wordpiece import WordPiece

__all__ = ["WEIGHTS", "BlipScorer", "build", "check", "sizes_of"]

_TITLE = "BLIP-ITM"
_TOKENS = 35
_HEAD = 64  # width of one head of attention, in the base and in the large network
_EXTRAS = r"(vision_proj|text_proj)\.(weight|bias)|text_encoder\.embeddings\.position_ids"
WEIGHTS = WeightFile(
    "model.safetensors",
    "https://huggingface.co/Salesforce/blip-itm-base-coco/resolve/main/model.safetensors",
    895_000_000,
    "",
    ("pytorch_model.bin",),
)
# transformers' names to the original ones: what its conversion script does, the other way round.
_RENAMED = (
    (r"^vision_model\.embeddings\.class_embedding", "visual_encoder.cls_token"),
    (r"^vision_model\.embeddings\.position_embedding", "visual_encoder.pos_embed"),
    (r"^vision_model\.embeddings\.patch_embedding", "visual_encoder.patch_embed.proj"),
    (r"^vision_model\.post_layernorm", "visual_encoder.norm"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.self_attn\.projection", r"visual_encoder.blocks.\1.attn.proj"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.self_attn", r"visual_encoder.blocks.\1.attn"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.layer_norm", r"visual_encoder.blocks.\1.norm"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.mlp", r"visual_encoder.blocks.\1.mlp"),
)


class BlipScorer:
    """See the module.

    Args:
        folder: With the weights and BERT's vocab.txt.
        download: Whether missing files may be downloaded.
    """

    def __init__(self, folder: Path, download: bool = False) -> None:
        self._folder, self._download = folder, download
        self._network: Towers | None = None
        self._tokenizer: WordPiece | None = None
        self._preparation: Preparation | None = None
        self._device = "cpu"

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Read the weights.

        Raises:
            ScorerError: A file is missing and may not be downloaded, is damaged, or belongs to another model.
        """
        import torch
        from torch import nn

        from lib_optim.scoring.blip import Towers
        from lib_optim.scoring.state_dicts import fill, read_state_dict
        from lib_optim.scoring.wordpiece import BLIP_TOKENS, WordPiece, refuse_other_size

        vocabulary = obtain(_TITLE, VOCABULARY, self._folder, self._download, progress)
        weights = obtain(_TITLE, WEIGHTS, self._folder, self._download, progress)
        tokenizer = WordPiece.from_file(vocabulary, BLIP_TOKENS)
        if progress is not None:
            progress(f"{_TITLE}: loading {weights.name}.")
        tensors = _original_names(read_state_dict(weights, _TITLE))
        sizes = sizes_of(tensors, weights)
        refuse_other_size(tokenizer, sizes.vocabulary, vocabulary, _TITLE)
        with torch.device("meta"):
            network = Towers(sizes)
            network.itm_head = nn.Linear(sizes.text_width, 2)
        fill(network, tensors, _EXTRAS, _TITLE, weights)
        self._network, self._tokenizer, self._device = network.to(device), tokenizer, device
        bicubic = 3  # Pillow's number
        self._preparation = Preparation(None, sizes.image, bicubic, 1 / 255, CLIP_MEAN, CLIP_STD)

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return the probability that prompt and image belong together, in [0, 1].

        One image at a time: a batch would differ from singles in the last bits.

        Raises:
            ScorerError: Not loaded, an image cannot be used, or a score is not finite.
        """
        import torch

        if self._network is None or self._tokenizer is None or self._preparation is None:
            raise ScorerError(f"{_TITLE} was asked for a score before it was loaded.")
        scores: list[float] = []
        for i, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            label = image_label(i, contexts)
            pixels = torch.from_numpy(self._preparation.pixels(image, label))[None].to(self._device)
            ids, mask = (torch.tensor([row], device=self._device) for row in self._tokenizer.encode(prompt, _TOKENS))
            with torch.inference_mode():
                seen = self._network.visual_encoder(pixels)
                first = self._network.text_encoder(ids, mask, seen)[:, 0]
                value = float(self._network.itm_head(first).float().softmax(dim=-1)[0, 1])
            if value - value != 0:
                raise ScorerError(f"{_TITLE} gave {value} for {label}, which is no score; its weights may be damaged.")
            scores.append(value)
        return scores

    def unload(self) -> None:
        """Free the network's memory."""
        if self._network is not None:
            from lib_optim.scoring.state_dicts import free

            self._network = self._tokenizer = self._preparation = None
            free(self._device)


def build(options: Mapping[str, Any], models_dir: Any) -> BlipScorer:
    """Return the scorer for the options ``folder`` and ``download``."""
    return BlipScorer(weights_folder("blip-itm", options, Path(models_dir)), bool(options.get("download", False)))


def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[Any]) -> list[tuple[str, str]]:
    """Return which files are missing, for the plan check; none if they may be downloaded."""
    del jobs
    return missing_files(_TITLE, "blip-itm", (WEIGHTS, VOCABULARY), options, models_dir)


def sizes_of(tensors: Mapping[str, torch.Tensor], path: Path) -> Sizes:
    """Return the shape of the network that `tensors`, under the original names, belong to.

    Raises:
        ScorerError: They belong to none that Optim knows.
    """
    from lib_optim.scoring.blip import Sizes

    try:
        _, places, vision = tensors["visual_encoder.pos_embed"].shape
        patch = tensors["visual_encoder.patch_embed.proj.weight"].shape[-1]
        vocabulary, text = tensors["text_encoder.embeddings.word_embeddings.weight"].shape
        positions = tensors["text_encoder.embeddings.position_embeddings.weight"].shape[0]
        hidden = tensors["text_encoder.encoder.layer.0.intermediate.dense.weight"].shape[0]
    except (KeyError, ValueError, IndexError) as error:
        raise ScorerError(f"{_TITLE}: {path.name} lacks BLIP's tensors; it is the file of another model.") from error
    return Sizes(
        image=math.isqrt(places - 1) * patch, patch=patch, vision_width=vision,
        vision_depth=_count(tensors, r"visual_encoder\.blocks\.(\d+)\."), vision_heads=max(1, vision // _HEAD),
        text_width=text, text_depth=_count(tensors, r"text_encoder\.encoder\.layer\.(\d+)\."),
        text_heads=max(1, text // _HEAD), text_hidden=hidden, vocabulary=vocabulary, positions=positions,
    )  # fmt: skip


def _count(tensors: Mapping[str, Any], pattern: str) -> int:
    return 1 + max((int(found[1]) for name in tensors if (found := re.match(pattern, name))), default=-1)


def _original_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        own = name
        for old, new in _RENAMED:
            own = re.sub(old, new, own)
        renamed[own] = tensor
    return renamed
