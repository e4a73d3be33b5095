"""Files of CLIP weights: which of them are read, and their names for the same tensors.

open_clip's names are ours. Hugging Face's transformers keep the same numbers under other names, with query, key and
value apart and both projections transposed (``CLIPModel``); PickScore and OpenAI's models are published so.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.openclip import own_layout
from lib_optim.scoring.state_dicts import MoreThanTensorsError, read_state_dict

if TYPE_CHECKING:
    import torch

__all__ = ["EXTRAS", "from_transformers", "network_tensors", "read_weights"]

# Beyond the network's own tensors: buffers of other versions of open_clip, and OpenAI's notes of their sizes.
EXTRAS = r"(text\.)?attn_mask|logit_bias|input_resolution|context_length|vocab_size"
_PICKLES = (".pkl", ".pickle", ".ckpt")
_WHOLE = {
    "logit_scale": "logit_scale",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
}
_TRANSPOSED = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}
_TOWERS = {"vision_model": "visual.", "text_model": ""}
_NORMS = {
    # "pre_layrnorm" is how transformers spell it.
    "vision_model.pre_layrnorm": "visual.ln_pre",
    "vision_model.post_layernorm": "visual.ln_post",
    "text_model.final_layer_norm": "ln_final",
}
_IN_BLOCK = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_BLOCK = re.compile(r"(vision_model|text_model)\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_BUFFER = re.compile(r"(vision_model|text_model)\.embeddings\.position_ids")


def read_weights(path: Path, title: str, instead: str) -> dict[str, torch.Tensor]:
    """Return the tensors of `path`, by the names that they have there.

    Args:
        path: ``.safetensors``, or a file that torch's weights-only loading takes.
        title: Of the scorer, for messages.
        instead: Which file to take if this one cannot be read without running it; part of a sentence.

    Raises:
        ScorerError: A pickle of more than tensors, a TorchScript program, damaged, or no file of weights.
    """
    if path.suffix.lower() in _PICKLES:
        raise ScorerError(f"{title}: {path.name} is a pickle, which could run anything; take {instead} instead.")
    if _is_program(path):
        raise ScorerError(
            f"{title}: {path.name} is a TorchScript program, which is not run here; take {instead} instead."
        )
    try:
        return read_state_dict(path, title)
    except MoreThanTensorsError as error:
        raise ScorerError(
            f"{title}: {path.name} holds more than tensors (or is damaged), and loading it could run anything; "
            f"take {instead} instead."
        ) from error


def network_tensors(tensors: Mapping[str, torch.Tensor], network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return `tensors`, in open_clip's or transformers' layout, under the names of `network`."""
    ours = from_transformers(tensors) if "visual_projection.weight" in tensors else tensors
    return own_layout(ours, network)


def from_transformers(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a ``CLIPModel`` under open_clip's names; what it does not know keeps its name."""
    import torch

    found: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        if name in _WHOLE:
            found[_WHOLE[name]] = tensor
        elif name in _TRANSPOSED:
            found[_TRANSPOSED[name]] = tensor.T.contiguous()
        elif stem in _NORMS:
            found[f"{_NORMS[stem]}.{kind}"] = tensor
        elif block := _BLOCK.fullmatch(name):
            tower, number, part, kind = block.groups()
            prefix = f"{_TOWERS[tower]}transformer.resblocks.{number}"
            if part in _IN_BLOCK:
                found[f"{prefix}.{_IN_BLOCK[part]}.{kind}"] = tensor
            elif part == "self_attn.q_proj":
                three = [tensors.get(name.replace("q_proj", f"{letter}_proj")) for letter in "qkv"]
                if any(t is None or t.shape != tensor.shape for t in three):
                    found[name] = tensor
                else:
                    found[f"{prefix}.attn.in_proj_{kind}"] = torch.cat([t for t in three if t is not None])
            elif part not in {"self_attn.k_proj", "self_attn.v_proj"}:
                found[name] = tensor
        elif not _BUFFER.fullmatch(name):
            found[name] = tensor
    return found


def _is_program(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name or name.endswith("constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
