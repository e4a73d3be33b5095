"""What LoRA files call the tensors of a checkpoint: kohya's names, derived from the checkpoint's own by rules.

kohya's trainers name a module by its path in the model with ``_`` for ``.``, after ``unet_``, ``te_`` (SD1, SD2),
``te1_`` or ``te2_`` (SDXL). Two spellings of the UNet are in use: the checkpoint's own (``input_blocks_4_1_…``) and
diffusers' (``down_blocks_1_attentions_0_…``); text encoders follow transformers' CLIP, in which query, key and value
are three matrices where OpenCLIP has one, and the text projection is transposed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["LoraTarget", "lora_names"]


@dataclass(frozen=True)
class LoraTarget:
    """Where a module of a LoRA acts.

    Attributes:
        key: The checkpoint's tensor.
        part: 0, 1 or 2 for the first, second or last third of its rows (query, key, value); None for all of it.
        transposed: Whether the checkpoint holds the matrix the other way round.
        bias: Whether it is the module's bias rather than its weight.
    """

    key: str
    part: int | None = None
    transposed: bool = False
    bias: bool = False


_UNET = "model.diffusion_model."
_RESNET = {
    "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
    "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
}  # fmt: skip
_ENDS = {
    "input_blocks.0.0": "conv_in", "out.0": "conv_norm_out", "out.2": "conv_out",
    "time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1", "label_emb.0.2": "add_embedding.linear_2",
}  # fmt: skip
# Prefix of a text encoder's keys to the LoRA's name of it, and whether its layout is OpenCLIP's.
_TEXT = {
    "cond_stage_model.transformer.": ("te", False),
    "cond_stage_model.model.": ("te", True),
    "conditioner.embedders.0.transformer.": ("te1", False),
    "conditioner.embedders.1.model.": ("te2", True),
}
_OPEN_CLIP = (
    ("token_embedding", "text_model.embeddings.token_embedding"),
    ("positional_embedding", "text_model.embeddings.position_embedding"),
    ("ln_final", "text_model.final_layer_norm"),
    ("transformer.resblocks.", "text_model.encoder.layers."),
    (".ln_", ".layer_norm"),
    (".mlp.c_fc", ".mlp.fc1"),
    (".mlp.c_proj", ".mlp.fc2"),
    (".attn.", ".self_attn."),
)
_LEAF = re.compile(r"(.*?)[._](weight|bias)")
_PARTS = "qkv"


def lora_names(key: str) -> tuple[tuple[str, LoraTarget], ...]:
    """Return every name that a LoRA may have for the tensor `key` of a checkpoint, with what it stands for.

    Args:
        key: Name in the checkpoint, SD1, SD2 or SDXL.

    Returns:
        Names without the leading ``lora_`` or ``lycoris_``; empty for what no LoRA changes (VAE, buffers).
    """
    found = _LEAF.fullmatch(key)
    stem, bias = (found[1], found[2] == "bias") if found else (key, False)
    if stem.startswith(_UNET):
        own = stem.removeprefix(_UNET)
        names = dict.fromkeys(("unet." + own, "unet." + _diffusers(own)))
        return tuple((name.replace(".", "_"), LoraTarget(key, bias=bias)) for name in names)
    for prefix, (encoder, open_clip) in _TEXT.items():
        if stem.startswith(prefix) and not stem.endswith(("position_ids", "logit_scale")):
            path = stem.removeprefix(prefix)
            return tuple(
                (f"{encoder}.{name}".replace(".", "_"), target)
                for name, target in (_open_clip if open_clip else _clip)(path, key, bias)
            )
    return ()


def _clip(path: str, key: str, bias: bool) -> tuple[tuple[str, LoraTarget], ...]:
    # Files of 2022 lack text_model. in the names.
    whole = path if path.startswith(("text_model.", "text_projection")) else f"text_model.{path}"
    return ((whole, LoraTarget(key, bias=bias)),)


def _open_clip(path: str, key: str, bias: bool) -> tuple[tuple[str, LoraTarget], ...]:
    if path == "text_projection":
        return ((path, LoraTarget(key, transposed=True)),)
    for old, new in _OPEN_CLIP:
        path = path.replace(old, new)
    if not path.endswith(".in_proj"):
        return ((path, LoraTarget(key, bias=bias)),)
    module = path.removesuffix("in_proj")
    return tuple((f"{module}{letter}_proj", LoraTarget(key, i, bias=bias)) for i, letter in enumerate(_PARTS))


def _diffusers(path: str) -> str:
    """Return diffusers' path of a UNet module from the checkpoint's."""
    if path in _ENDS:
        return _ENDS[path]
    kind, *rest = path.split(".")
    if kind == "middle_block":
        place, layer = int(rest[0]), rest[1:]
        head = "mid_block.attentions.0" if place == 1 else f"mid_block.resnets.{place // 2}"
    elif kind == "input_blocks":
        level, step = divmod(int(rest[0]) - 1, 3)
        layer = rest[2:]
        if step == 2:
            return f"down_blocks.{level}.downsamplers.0.conv"
        head = f"down_blocks.{level}.{'resnets' if rest[1] == '0' else 'attentions'}.{step}"
    elif kind == "output_blocks":
        level, step = divmod(int(rest[0]), 3)
        layer = rest[2:]
        if layer == ["conv"]:
            return f"up_blocks.{level}.upsamplers.0.conv"
        head = f"up_blocks.{level}.{'resnets' if rest[1] == '0' else 'attentions'}.{step}"
    else:
        return path
    tail = ".".join(layer)
    return f"{head}.{_RESNET.get(tail, tail)}"
