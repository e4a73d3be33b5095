"""Checkpoint layouts in real LDM key names, with tiny tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

__all__ = ["lora_keys", "make_checkpoint", "make_lora", "make_vae", "sd1_layout", "sdxl_layout"]

WIDTH = 4  # channels of everything
TOKENS = 16  # rows of the token embedding
Shape = tuple[int, ...]


def sd1_layout() -> dict[str, Shape]:
    """All 1130 floating keys of an SD1 checkpoint (12/1/12 UNet blocks, 12 text encoder layers, VAE)."""
    te = "cond_stage_model.transformer.text_model."
    return dict([*_unet(depths=(1, 1, 1, 0), linear=False), *_clip(te, 12), *_vae()])


def sdxl_layout() -> dict[str, Shape]:
    """A shortened SDXL checkpoint: its own key names, CLIP-L and an OpenCLIP text encoder of two layers."""
    left, right = "conditioner.embedders.0.transformer.text_model.", "conditioner.embedders.1.model."
    unet = _unet(depths=(0, 1, 1), linear=True)
    return dict([*unet, *_clip(left, 2), *_open_clip(right, 2), *_vae()])


def _unet(depths: tuple[int, ...], linear: bool) -> Iterator[tuple[str, Shape]]:
    root, w = "model.diffusion_model.", WIDTH
    yield from _pair(f"{root}time_embed.0", (w, w))
    yield from _pair(f"{root}time_embed.2", (w, w))
    if linear:
        yield from _pair(f"{root}label_emb.0.0", (w, w))
        yield from _pair(f"{root}label_emb.0.2", (w, w))
    yield from _pair(f"{root}input_blocks.0.0", (w, 4, 3, 3))
    index = 1
    for level, depth in enumerate(depths):
        for _ in range(2):
            yield from _resnet(f"{root}input_blocks.{index}.0.")
            if depth:
                yield from _transformer(f"{root}input_blocks.{index}.1.", linear)
            index += 1
        if level < len(depths) - 1:
            yield from _pair(f"{root}input_blocks.{index}.0.op", (w, w, 3, 3))
            index += 1
    yield from _resnet(f"{root}middle_block.0.")
    yield from _transformer(f"{root}middle_block.1.", linear)
    yield from _resnet(f"{root}middle_block.2.")
    index = 0
    for level, depth in reversed(list(enumerate(depths))):
        for i in range(3):
            yield from _resnet(f"{root}output_blocks.{index}.0.")
            if depth:
                yield from _transformer(f"{root}output_blocks.{index}.1.", linear)
            if level and i == 2:
                yield from _pair(f"{root}output_blocks.{index}.{2 if depth else 1}.conv", (w, w, 3, 3))
            index += 1
    yield from _pair(f"{root}out.0", (w,))
    yield from _pair(f"{root}out.2", (4, w, 3, 3))


def _pair(name: str, shape: Shape) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _resnet(name: str) -> Iterator[tuple[str, Shape]]:
    w = WIDTH
    for part, shape in (("in_layers.0", (w,)), ("in_layers.2", (w, w, 3, 3)), ("emb_layers.1", (w, w)),
                        ("out_layers.0", (w,)), ("out_layers.3", (w, w, 3, 3))):  # fmt: skip
        yield from _pair(name + part, shape)


def _transformer(name: str, linear: bool) -> Iterator[tuple[str, Shape]]:
    w = WIDTH
    projection = (w, w) if linear else (w, w, 1, 1)
    yield from _pair(f"{name}norm", (w,))
    yield from _pair(f"{name}proj_in", projection)
    block = f"{name}transformer_blocks.0."
    for attention in ("attn1", "attn2"):
        for part in ("to_q", "to_k", "to_v"):
            yield f"{block}{attention}.{part}.weight", (w, w)
        yield from _pair(f"{block}{attention}.to_out.0", (w, w))
    yield from _pair(f"{block}ff.net.0.proj", (2 * w, w))
    yield from _pair(f"{block}ff.net.2", (w, w))
    for norm in ("norm1", "norm2", "norm3"):
        yield from _pair(block + norm, (w,))
    yield from _pair(f"{name}proj_out", projection)


def _clip(name: str, layers: int) -> Iterator[tuple[str, Shape]]:
    w = WIDTH
    yield f"{name}embeddings.token_embedding.weight", (TOKENS, w)
    yield f"{name}embeddings.position_embedding.weight", (8, w)
    for i in range(layers):
        layer = f"{name}encoder.layers.{i}."
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from _pair(f"{layer}self_attn.{part}", (w, w))
        yield from _pair(f"{layer}layer_norm1", (w,))
        yield from _pair(f"{layer}mlp.fc1", (2 * w, w))
        yield from _pair(f"{layer}mlp.fc2", (w, 2 * w))
        yield from _pair(f"{layer}layer_norm2", (w,))
    yield from _pair(f"{name}final_layer_norm", (w,))


def _open_clip(name: str, layers: int) -> Iterator[tuple[str, Shape]]:
    w = WIDTH
    yield f"{name}positional_embedding", (8, w)
    yield f"{name}text_projection", (w, 2 * w)  # not square here, so that a forgotten transpose cannot pass
    yield f"{name}logit_scale", ()
    yield f"{name}token_embedding.weight", (TOKENS, w)
    for i in range(layers):
        block = f"{name}transformer.resblocks.{i}."
        yield from _pair(f"{block}ln_1", (w,))
        yield f"{block}attn.in_proj_weight", (3 * w, w)
        yield f"{block}attn.in_proj_bias", (3 * w,)
        yield from _pair(f"{block}attn.out_proj", (w, w))
        yield from _pair(f"{block}ln_2", (w,))
        yield from _pair(f"{block}mlp.c_fc", (2 * w, w))
        yield from _pair(f"{block}mlp.c_proj", (w, 2 * w))
    yield from _pair(f"{name}ln_final", (w,))


def _vae() -> Iterator[tuple[str, Shape]]:
    w = WIDTH
    for side in ("encoder", "decoder"):
        root = f"first_stage_model.{side}."
        yield from _pair(f"{root}conv_in", (w, 3, 3, 3))
        for part in ("norm1", "norm2"):
            yield from _pair(f"{root}mid.block_1.{part}", (w,))
        for part in ("q", "k", "v", "proj_out"):
            yield from _pair(f"{root}mid.attn_1.{part}", (w, w, 1, 1))
        yield from _pair(f"{root}conv_out", (4, w, 3, 3))
    yield from _pair("first_stage_model.quant_conv", (8, 8, 1, 1))
    yield from _pair("first_stage_model.post_quant_conv", (4, 4, 1, 1))


def _tensors(layout: Mapping[str, Shape], seed: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    result = {}
    for key, shape in layout.items():
        scale = 1 / math.sqrt(math.prod(shape[1:]) or 1)
        result[key] = (torch.randn(shape, generator=generator) * scale).to(dtype).contiguous()
    return result


def make_checkpoint(path: Path, layout: Mapping[str, Shape], seed: int, dtype: torch.dtype = torch.float16) -> Path:
    """Write a checkpoint whose floating keys are those of `layout`, with the schedule buffers real files carry.

    The VAE is the same for every seed, as it is in most families of checkpoints.
    """
    tensors = _tensors(layout, seed, dtype)
    vae = {key: shape for key, shape in layout.items() if key.startswith("first_stage_model.")}
    tensors.update(_tensors(vae, 777, dtype))
    tensors["alphas_cumprod"] = torch.linspace(0.99, 0.01, 10)
    positions = next(key for key in layout if key.endswith("position_embedding.weight"))
    tensors[positions.replace("position_embedding.weight", "position_ids")] = torch.arange(8)[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, {"format": "pt"})
    return path


def make_vae(path: Path, seed: int) -> Path:
    """Write a VAE file with bare keys."""
    prefix = "first_stage_model."
    layout = {key[len(prefix) :]: shape for key, shape in sd1_layout().items() if key.startswith(prefix)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(_tensors(layout, seed, torch.float32), path)
    return path


def lora_keys(layout: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the layers that a LoRA of the usual kind touches, as kohya names, with their shapes."""
    found = {}
    for key, shape in layout.items():
        name = key.removesuffix(".weight")
        if name == key or len(shape) != 2:
            continue
        if ".transformer_blocks." in name and "norm" not in name:
            found["lora_unet_" + name.removeprefix("model.diffusion_model.").replace(".", "_")] = shape
        elif name.startswith("cond_stage_model.transformer.") and ("self_attn" in name or "mlp" in name):
            found["lora_te_" + name.removeprefix("cond_stage_model.transformer.").replace(".", "_")] = shape
    return found


def make_lora(path: Path, layout: Mapping[str, Shape], seed: int) -> Path:
    """Write a rank 1 LoRA for the attention and feed-forward layers of UNet and text encoder."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, (rows, columns) in lora_keys(layout).items():
        tensors[f"{name}.lora_up.weight"] = torch.randn(rows, 1, generator=generator)
        tensors[f"{name}.lora_down.weight"] = torch.randn(1, columns, generator=generator) * 0.3
        tensors[f"{name}.alpha"] = torch.tensor(1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path
