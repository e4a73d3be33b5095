"""The demo checkpoints in pieces: what the folder ``weights`` beside this file holds, and how a checkpoint comes of it.

One file has what both checkpoints share (the VAE, and what fine-tuning left alone of the UNet), and each has one of its
own. Idle parts are constants, the text encoder is made from a seed. All stored weights are our own, under MIT.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.hosts.standalone.demo_layout import (
    UNET,
    VAE,
    demo_shapes,
    has_middle_only,
    idle_tensor,
    is_idle,
    is_tuned,
)
from lib_optim.hosts.standalone.demo_text import text_encoder_tensors

if TYPE_CHECKING:
    import torch

__all__ = ["COMMON", "OWN", "STORED", "assembled", "stored_tensors"]

STORED = Path(__file__).with_name("weights")
COMMON, OWN = "demo-common.safetensors", ("demo-a.safetensors", "demo-b.safetensors")


def assembled(variant: int, folder: Path = STORED) -> dict[str, torch.Tensor]:
    """Return a checkpoint, fp16, keys in order. Variant 0 is A, 1 is B."""
    import torch
    from safetensors.torch import load_file
    from torch.nn import functional

    found = load_file(str(folder / COMMON)) | load_file(str(folder / OWN[variant]))
    for key, tensor in found.items():
        if has_middle_only(key):
            found[key] = functional.pad(tensor, (1, 1, 1, 1))
    found |= text_encoder_tensors(variant)
    found |= {key: idle_tensor(key) for key in demo_shapes() if is_idle(key)}
    return {key: found[key].to(torch.float16).contiguous() for key in sorted(demo_shapes())}


def stored_tensors(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return what is stored of a checkpoint, fp16: what it shares with the other, and its own."""
    import torch

    common: dict[str, torch.Tensor] = {}
    own: dict[str, torch.Tensor] = {}
    for key in sorted(demo_shapes()):
        if key.startswith((UNET, VAE)) and not is_idle(key):
            tensor = tensors[key][:, :, 1:2, 1:2] if has_middle_only(key) else tensors[key]
            (own if is_tuned(key) else common)[key] = tensor.to(torch.float16).contiguous()
    return common, own
