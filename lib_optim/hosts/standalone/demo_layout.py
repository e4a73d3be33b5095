"""The tensors of the demo checkpoints: Stable Diffusion 1 in LDM names, narrow, and what of them is stored.

The UNet is widest at the size of the latents (8x8 for a picture of 64x64), and so is the VAE. Group norms have 32
groups, so that widths are multiples of 32; the time embedding is four times the first width, as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = [
    "CLIP", "CONTEXT", "UNET", "VAE", "Shape", "demo_shapes", "has_middle_only", "idle_tensor", "is_idle", "is_tuned",
]  # fmt: skip

UNET, CLIP, VAE = "model.diffusion_model.", "cond_stage_model.transformer.text_model.", "first_stage_model."
CONTEXT = 96  # width of the text encoder
CLIP_LAYERS, VOCABULARY, POSITIONS = 12, 49408, 77
_WIDTHS = (64, 64, 64, 64)  # of the UNet's levels
_VAE_WIDTHS = (32, 32, 32, 64)
_TIME, _LATENT = 4 * _WIDTHS[0], 4

Shape = tuple[int, ...]

# Parts that pass their input on: their weights are 0 and not stored, but for a residual block's last bias. Levels of
# 4x4, 2x2 and 1x1 need no more, and the repository stays small.
_IDLE_VAE = re.compile(
    r"encoder\.down\.0\.block|encoder\.down\.1\.block\.1|encoder\.down\.3\.block\.1"
    r"|(encoder|decoder)\.mid\.(attn_1|block_2)|decoder\.up\.3\.block\.2|decoder\.up\.0\.block\.[12]"
)
_IDLE_UNET = re.compile(
    r"(input_blocks\.(5|8|11)|output_blocks\.(1|2|4|5|7))\.0\.(?!out_layers\.3\.bias|conv)"
    r"|(input_blocks\.[4-8]|middle_block|output_blocks\.[3-8])\.1\..*\.(ff|norm3)\."
)
# Kernels of 3x3 at the level of 1x1 see their middle only, and only that is stored.
_MIDDLE = re.compile(
    r"(input_blocks\.10|output_blocks\.0)\.0\..*layers\.[23]\.weight|middle_block\.[02]\..*layers\.[23]\.weight"
)
# What the fine-tunes change of the UNet; the rest is the ancestor's in both, and stored once.
_TUNED = re.compile(
    r"\.1\.(transformer_blocks.*(attn2|norm2)|norm\.|proj_)|_layers\.\d\.bias|(in|out)_layers\.0\.weight|time_embed\.\d\.bias|^out\."
    r"|input_blocks\.0\.0|input_blocks\.[369]\.0\.op\.bias|(input_blocks\.10|output_blocks\.0)\.0\.out_layers\.3"
)


def demo_shapes() -> dict[str, Shape]:
    """Return key to shape."""
    return {**dict(_clip()), **dict(_vae()), **dict(_unet())}


def is_idle(key: str) -> bool:
    """Whether a tensor belongs to a part that does nothing."""
    if key.startswith(VAE):
        return _IDLE_VAE.match(key.removeprefix(VAE)) is not None
    return key.startswith(UNET) and _IDLE_UNET.match(key.removeprefix(UNET)) is not None


def is_tuned(key: str) -> bool:
    """Whether the fine-tunes of the UNet differ in this tensor."""
    return key.startswith(UNET) and not is_idle(key) and _TUNED.search(key.removeprefix(UNET)) is not None


def has_middle_only(key: str) -> bool:
    """Whether a kernel [out, in, 3, 3] is 0 but for its middle."""
    return key.startswith(UNET) and _MIDDLE.match(key.removeprefix(UNET)) is not None


def idle_tensor(key: str) -> torch.Tensor:
    """Return the value of an idle tensor, fp32."""
    import torch

    shape = demo_shapes()[key]
    if key.endswith("skip_connection.weight"):  # what comes from below, nothing from across
        return torch.eye(*shape[:2])[..., None, None]
    norm = ".norm" in key or "_layers.0." in key
    return torch.full(shape, 1.0 if norm and key.endswith(".weight") else 0.0)


def _both(key: str, *weight: int) -> Iterator[tuple[str, Shape]]:
    yield f"{key}.weight", weight
    yield f"{key}.bias", weight[:1]


def _clip() -> Iterator[tuple[str, Shape]]:
    width = CONTEXT
    yield f"{CLIP}embeddings.token_embedding.weight", (VOCABULARY, width)
    yield f"{CLIP}embeddings.position_embedding.weight", (POSITIONS, width)
    for i in range(CLIP_LAYERS):
        layer = f"{CLIP}encoder.layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _both(f"{layer}.self_attn.{name}", width, width)
        yield from _both(f"{layer}.layer_norm1", width)
        yield from _both(f"{layer}.layer_norm2", width)
        yield from _both(f"{layer}.mlp.fc1", 4 * width, width)
        yield from _both(f"{layer}.mlp.fc2", width, 4 * width)
    yield from _both(f"{CLIP}final_layer_norm", width)


def _vae() -> Iterator[tuple[str, Shape]]:
    top, bottom = _VAE_WIDTHS[0], _VAE_WIDTHS[-1]
    yield from _both(f"{VAE}encoder.conv_in", top, 3, 3, 3)
    width = top
    for i, out in enumerate(_VAE_WIDTHS):
        for j in range(2):
            yield from _vae_resnet(f"{VAE}encoder.down.{i}.block.{j}", width, out)
            width = out
        if i < len(_VAE_WIDTHS) - 1:
            yield from _both(f"{VAE}encoder.down.{i}.downsample.conv", width, width, 3, 3)
    yield from _vae_middle(f"{VAE}encoder.mid", bottom)
    yield from _both(f"{VAE}encoder.norm_out", bottom)
    yield from _both(f"{VAE}encoder.conv_out", 2 * _LATENT, bottom, 3, 3)
    yield from _both(f"{VAE}quant_conv", 2 * _LATENT, 2 * _LATENT, 1, 1)
    yield from _both(f"{VAE}post_quant_conv", _LATENT, _LATENT, 1, 1)
    yield from _both(f"{VAE}decoder.conv_in", bottom, _LATENT, 3, 3)
    yield from _vae_middle(f"{VAE}decoder.mid", bottom)
    for i, out in reversed(list(enumerate(_VAE_WIDTHS))):
        for j in range(3):
            yield from _vae_resnet(f"{VAE}decoder.up.{i}.block.{j}", width, out)
            width = out
        if i > 0:
            yield from _both(f"{VAE}decoder.up.{i}.upsample.conv", width, width, 3, 3)
    yield from _both(f"{VAE}decoder.norm_out", top)
    yield from _both(f"{VAE}decoder.conv_out", 3, top, 3, 3)


def _vae_middle(key: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield from _vae_resnet(f"{key}.block_1", width, width)
    yield from _both(f"{key}.attn_1.norm", width)
    for name in ("q", "k", "v", "proj_out"):
        yield from _both(f"{key}.attn_1.{name}", width, width, 1, 1)
    yield from _vae_resnet(f"{key}.block_2", width, width)


def _vae_resnet(key: str, width: int, out: int) -> Iterator[tuple[str, Shape]]:
    yield from _both(f"{key}.norm1", width)
    yield from _both(f"{key}.conv1", out, width, 3, 3)
    yield from _both(f"{key}.norm2", out)
    yield from _both(f"{key}.conv2", out, out, 3, 3)
    if width != out:
        yield from _both(f"{key}.nin_shortcut", out, width, 1, 1)


def _unet() -> Iterator[tuple[str, Shape]]:
    top, bottom = _WIDTHS[0], _WIDTHS[-1]
    yield from _both(f"{UNET}time_embed.0", _TIME, top)
    yield from _both(f"{UNET}time_embed.2", _TIME, _TIME)
    yield from _both(f"{UNET}input_blocks.0.0", top, _LATENT, 3, 3)
    block, width = 1, top
    for i, out in enumerate(_WIDTHS):
        attention = i < len(_WIDTHS) - 1
        for _ in range(2):
            yield from _unet_block(f"{UNET}input_blocks.{block}", width, out, attention)
            width, block = out, block + 1
        if attention:
            yield from _both(f"{UNET}input_blocks.{block}.0.op", width, width, 3, 3)
            block += 1
    yield from _unet_resnet(f"{UNET}middle_block.0", bottom, bottom)
    yield from _unet_attention(f"{UNET}middle_block.1", bottom)
    yield from _unet_resnet(f"{UNET}middle_block.2", bottom, bottom)
    skips = list(_skip_widths())
    block = 0
    for i, out in reversed(list(enumerate(_WIDTHS))):
        attention = i < len(_WIDTHS) - 1
        for j in range(3):
            yield from _unet_block(f"{UNET}output_blocks.{block}", width + skips.pop(), out, attention)
            width = out
            if i > 0 and j == 2:
                yield from _both(f"{UNET}output_blocks.{block}.{1 + attention}.conv", width, width, 3, 3)
            block += 1
    yield from _both(f"{UNET}out.0", top)
    yield from _both(f"{UNET}out.2", _LATENT, top, 3, 3)


def _skip_widths() -> Iterator[int]:
    """Channels of each input block's output, which the output blocks take in reverse order."""
    yield _WIDTHS[0]
    for i, width in enumerate(_WIDTHS):
        yield from (width, width)
        if i < len(_WIDTHS) - 1:
            yield width


def _unet_block(key: str, width: int, out: int, attention: bool) -> Iterator[tuple[str, Shape]]:
    yield from _unet_resnet(f"{key}.0", width, out)
    if attention:
        yield from _unet_attention(f"{key}.1", out)


def _unet_resnet(key: str, width: int, out: int) -> Iterator[tuple[str, Shape]]:
    yield from _both(f"{key}.in_layers.0", width)
    yield from _both(f"{key}.in_layers.2", out, width, 3, 3)
    yield from _both(f"{key}.emb_layers.1", out, _TIME)
    yield from _both(f"{key}.out_layers.0", out)
    yield from _both(f"{key}.out_layers.3", out, out, 3, 3)
    if width != out:
        yield from _both(f"{key}.skip_connection", out, width, 1, 1)


def _unet_attention(key: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield from _both(f"{key}.norm", width)
    yield from _both(f"{key}.proj_in", width, width, 1, 1)
    inner = f"{key}.transformer_blocks.0"
    for name, context in (("attn1", width), ("attn2", CONTEXT)):
        yield f"{inner}.{name}.to_q.weight", (width, width)
        yield f"{inner}.{name}.to_k.weight", (width, context)
        yield f"{inner}.{name}.to_v.weight", (width, context)
        yield from _both(f"{inner}.{name}.to_out.0", width, width)
    yield from _both(f"{inner}.ff.net.0.proj", 8 * width, width)
    yield from _both(f"{inner}.ff.net.2", width, 4 * width)
    for name in ("norm1", "norm2", "norm3"):
        yield from _both(f"{inner}.{name}", width)
    yield from _both(f"{key}.proj_out", width, width, 1, 1)
