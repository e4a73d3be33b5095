"""The files that the self-test makes from the loaded checkpoint: variant, merge, LoRA, VAE and textual inversion.

All are deterministic, written tensor by tensor, and named ``optim-selftest-…``, so that what a killed self-test leaves
behind is recognised and removed by the next.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.plan.architectures import Architecture
from lib_optim.plan.header import CheckpointHeader, TensorInfo

if TYPE_CHECKING:
    import torch

__all__ = [
    "PREFIX",
    "blended",
    "lora_layers",
    "remove_leftovers",
    "varied",
    "write_checkpoint",
    "write_embedding",
    "write_lora",
    "write_vae",
]

PREFIX = "optim-selftest-"
FLOATING = ("F16", "BF16", "F32", "F64")
_SIDE_FILES = (".yaml", ".json", ".png", ".preview.png", ".civitai.info")
_UNET = "model.diffusion_model."
_ATTENTION = re.compile(r"attn[12]\.to_(q|k|v|out\.0)\.weight$")
_MLP = re.compile(r"layers\.\d+\.mlp\.fc[12]\.weight$")
# Where kohya's names for text encoders begin, by the key prefix of Hugging Face's CLIP inside a checkpoint.
_KOHYA_TEXT = {
    "cond_stage_model.transformer.": "lora_te_",
    "conditioner.embedders.0.transformer.": "lora_te1_",
}

Blend = Callable[[str], "torch.Tensor"]


def remove_leftovers(folder: Path) -> None:
    """Remove every file of a self-test from `folder`."""
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            path.unlink()


def varied(tensor: torch.Tensor) -> torch.Tensor:
    """Return the variant's tensor: the base's with a quarter of itself, shifted by one row, on top.

    Matrices and convolutions only: biases and norms keep their mean, which random CLIPs need (hosts.md section 10).
    The shift is as cheap as a copy, needs no random numbers, and differs from row to row.
    """
    if tensor.dim() < 2 or not tensor.is_floating_point():
        return tensor
    return (tensor.float() + 0.25 * tensor.float().roll(1, 0)).to(tensor.dtype)


def blended(a: torch.Tensor, b: torch.Tensor, alpha: float) -> torch.Tensor:
    """Return ``a (1 - alpha) + b alpha`` in the dtype of `a`: what a file of the merge would hold."""
    if alpha == 0 or not a.is_floating_point():
        return a
    return b.to(a.dtype) if alpha == 1 else (a.float() * (1 - alpha) + b.float() * alpha).to(a.dtype)


def write_checkpoint(path: Path, header: CheckpointHeader, tensor_of: Blend) -> None:
    """Write a checkpoint with the layout of `header` and the values of `tensor_of`, one tensor in memory at a time.

    The base's side files (``.yaml`` with its architecture) are copied along, without which A1111 may take another one.

    Args:
        path: The new file.
        header: Layout: keys, dtypes, shapes, in this order.
        tensor_of: Key to tensor, of the dtype and shape in `header`.
    """
    entries: dict[str, object] = {}
    at = 0
    for key, info in header.tensors.items():
        entries[key] = {"dtype": info.dtype, "shape": list(info.shape), "data_offsets": [at, at + info.nbytes]}
        at += info.nbytes
    head = json.dumps(entries, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)))
        file.write(head)
        for key, info in header.tensors.items():
            file.write(_bytes(tensor_of(key), info))
    for suffix in _SIDE_FILES[:1]:
        side = header.path.with_suffix(suffix)
        if side.is_file():
            shutil.copyfile(side, path.with_suffix(suffix))


def _bytes(tensor: torch.Tensor, info: TensorInfo) -> bytes:
    import torch

    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    if len(data) != info.nbytes:
        raise ValueError(f"{len(data)} bytes where {info.nbytes} belong")
    return data


def lora_layers(header: CheckpointHeader, architecture: Architecture) -> Mapping[str, tuple[int, int]]:
    """Return the layers that the LoRA changes, as kohya name to (rows, columns).

    Up to eight attention layers of the UNet, spread over its depth, and four of the first text encoder. UNet names are
    those of the LDM layout, which A1111 and Forge know for every architecture.
    """
    unet, text = [], []
    for key, info in header.tensors.items():
        if architecture.component_of(key) == "unet" and _ATTENTION.search(key) and len(info.shape) == 2:
            name = "lora_unet_" + key[len(_UNET) : -len(".weight")].replace(".", "_")
            unet.append((name, (info.shape[0], info.shape[1])))
        for prefix, kohya in _KOHYA_TEXT.items():
            if key.startswith(prefix) and _MLP.search(key):
                name = kohya + key[len(prefix) : -len(".weight")].replace(".", "_")
                text.append((name, (info.shape[0], info.shape[1])))
    return dict(_spread(unet, 8) + _spread(text, 4))


def _spread(rows: list[tuple[str, tuple[int, int]]], count: int) -> list[tuple[str, tuple[int, int]]]:
    return rows if len(rows) <= count else [rows[i * len(rows) // count] for i in range(count)]


def write_lora(path: Path, layers: Mapping[str, tuple[int, int]], rank: int = 2) -> None:
    """Write a LoRA in kohya's format over `layers`, strong enough to show in any image."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(1)
    tensors: dict[str, torch.Tensor] = {}
    for name, (rows, columns) in layers.items():
        # Each product has entries of about the size of the weights themselves, 1/sqrt(columns).
        scale = (columns * rank) ** -0.25
        tensors[f"{name}.lora_down.weight"] = torch.randn(rank, columns, generator=generator) * scale
        tensors[f"{name}.lora_up.weight"] = torch.randn(rows, rank, generator=generator) * scale
        tensors[f"{name}.alpha"] = torch.tensor(float(rank))
    save_file(tensors, path, {"ss_network_module": "networks.lora", "ss_network_dim": str(rank)})


def write_vae(path: Path, header: CheckpointHeader, tensor_of: Blend) -> None:
    """Write the checkpoint's VAE, varied, as a file of its own (keys without ``first_stage_model.``)."""
    from safetensors.torch import save_file

    prefix = "first_stage_model."
    keys = [key for key in header.tensors if key.startswith(prefix)]
    save_file({key[len(prefix) :]: varied(tensor_of(key)).contiguous() for key in keys}, path)


def write_embedding(path: Path, widths: Iterator[tuple[str, int]] | Mapping[str, int]) -> None:
    """Write a textual inversion of two vectors: ``emb_params`` for one text encoder, ``clip_l``/``clip_g`` for two."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(2)
    save_file({name: torch.randn(2, width, generator=generator) * 0.5 for name, width in dict(widths).items()}, path)
