"""Component configurations from the shapes of a checkpoint's tensors, so that any width works without config files.

What shapes do not tell follows the published architectures: SD1 has 8 attention heads everywhere, SDXL heads of 64
channels, CLIP text heads of 64 channels; group norms have 32 groups (Rombach et al. 2022; Podell et al. 2023).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lib_optim.plan.errors import CheckpointError

__all__ = ["clip_config", "open_clip_config", "unet_config", "vae_config"]

Shapes = Mapping[str, tuple[int, ...]]  # keys without the component's prefix
_HEAD = 64


def unet_config(shapes: Shapes, pooled: int | None = None) -> dict[str, Any]:
    """Return the arguments of diffusers' ``UNet2DConditionModel``.

    Args:
        shapes: Keys after ``model.diffusion_model.``.
        pooled: Width of the pooled text embedding for SDXL, None for SD1.
    """
    levels = _levels(shapes)
    channels = tuple(level["channels"] for level in levels)
    context = _first(shapes, r"attn2\.to_k\.weight$")[1]
    linear = len(_first(shapes, r"input_blocks\.\d+\.1\.proj_in\.weight$")) == 2
    config: dict[str, Any] = {
        "sample_size": 64 if pooled is None else 128,
        "in_channels": _shape(shapes, "input_blocks.0.0.weight")[1],
        "out_channels": _shape(shapes, "out.2.weight")[0],
        "block_out_channels": channels,
        "layers_per_block": levels[0]["resnets"],
        "down_block_types": tuple("CrossAttnDownBlock2D" if v["depth"] else "DownBlock2D" for v in levels),
        "up_block_types": tuple("CrossAttnUpBlock2D" if v["depth"] else "UpBlock2D" for v in reversed(levels)),
        "transformer_layers_per_block": tuple(level["depth"] or 1 for level in levels),
        "cross_attention_dim": context,
        "use_linear_projection": linear,
        # diffusers takes the number of heads under this name, see its issue 2011
        "attention_head_dim": 8 if pooled is None else tuple(max(1, width // _HEAD) for width in channels),
    }
    middle = _count(shapes, r"middle_block\.1\.transformer_blocks\.(\d+)\.")
    # A level without attention has depth 1 above, which nothing reads; the middle block reads the last one.
    config["transformer_layers_per_block"] = (
        *config["transformer_layers_per_block"][:-1],
        levels[-1]["depth"] or middle,
    )
    if pooled is not None:
        added = _shape(shapes, "label_emb.0.0.weight")[1]
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": (added - pooled) // 6,
            "projection_class_embeddings_input_dim": added,
        }
    return config


def vae_config(shapes: Shapes, scaling: float) -> dict[str, Any]:
    """Return the arguments of diffusers' ``AutoencoderKL``; `shapes`: keys after ``first_stage_model.``."""
    levels = _count(shapes, r"encoder\.down\.(\d+)\.")
    channels = tuple(_shape(shapes, f"encoder.down.{i}.block.0.conv2.weight")[0] for i in range(levels))
    return {
        "in_channels": _shape(shapes, "encoder.conv_in.weight")[1],
        "out_channels": _shape(shapes, "decoder.conv_out.weight")[0],
        "latent_channels": _shape(shapes, "decoder.conv_in.weight")[1],
        "block_out_channels": channels,
        "layers_per_block": _count(shapes, r"encoder\.down\.0\.block\.(\d+)\."),
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "scaling_factor": scaling,
        "sample_size": 512,
    }


def clip_config(shapes: Shapes) -> dict[str, Any]:
    """Return the arguments of transformers' ``CLIPTextConfig`` for OpenAI's CLIP; keys as in transformers."""
    width = _shape(shapes, "text_model.embeddings.token_embedding.weight")
    return {
        **_clip_common(*width),
        "num_hidden_layers": _count(shapes, r"text_model\.encoder\.layers\.(\d+)\."),
        "intermediate_size": _first(shapes, r"layers\.0\.mlp\.fc1\.weight$")[0],
        "max_position_embeddings": _shape(shapes, "text_model.embeddings.position_embedding.weight")[0],
        "projection_dim": width[1],
        "hidden_act": "quick_gelu",
        "pad_token_id": 49407,
    }


def open_clip_config(shapes: Shapes) -> dict[str, Any]:
    """Return the arguments of transformers' ``CLIPTextConfig`` for open_clip's text tower; keys as in open_clip."""
    return {
        **_clip_common(*_shape(shapes, "token_embedding.weight")),
        "num_hidden_layers": _count(shapes, r"transformer\.resblocks\.(\d+)\."),
        "intermediate_size": _first(shapes, r"resblocks\.0\.mlp\.c_fc\.weight$")[0],
        "max_position_embeddings": _shape(shapes, "positional_embedding")[0],
        "projection_dim": _shape(shapes, "text_projection")[1],
        "hidden_act": "gelu",
        "pad_token_id": 0,
    }


def _clip_common(vocabulary: int, width: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_attention_heads": max(1, width // _HEAD),
        "bos_token_id": 49406,
        "eos_token_id": 49407,
    }


def _levels(shapes: Shapes) -> list[dict[str, int]]:
    """Walk down the input blocks: one level per resolution."""
    levels = [{"channels": 0, "resnets": 0, "depth": 0}]
    for i in range(1, _count(shapes, r"input_blocks\.(\d+)\.")):
        if f"input_blocks.{i}.0.op.weight" in shapes:
            levels.append({"channels": 0, "resnets": 0, "depth": 0})
            continue
        level = levels[-1]
        level["channels"] = _shape(shapes, f"input_blocks.{i}.0.out_layers.3.weight")[0]
        level["resnets"] += 1
        level["depth"] = _count(shapes, rf"input_blocks\.{i}\.1\.transformer_blocks\.(\d+)\.")
    if any(level["resnets"] != levels[0]["resnets"] for level in levels):
        raise CheckpointError("The UNet has levels of different depth, which is no Stable Diffusion 1.x or XL layout.")
    return levels


def _count(shapes: Shapes, pattern: str) -> int:
    """One more than the greatest number that the group of `pattern` matches; 0 if it never matches."""
    compiled = re.compile(pattern)
    return max((int(found[1]) + 1 for found in map(compiled.search, shapes) if found), default=0)


def _first(shapes: Shapes, pattern: str) -> tuple[int, ...]:
    compiled = re.compile(pattern)
    for key, shape in shapes.items():
        if compiled.search(key):
            return shape
    raise CheckpointError(
        f"The checkpoint has no tensor like '{pattern}'; it is no whole Stable Diffusion 1.x or XL file."
    )


def _shape(shapes: Shapes, key: str) -> tuple[int, ...]:
    if key not in shapes:
        raise CheckpointError(f"The checkpoint has no tensor '{key}'; it is no whole Stable Diffusion 1.x or XL file.")
    return shapes[key]
