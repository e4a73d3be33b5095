"""LoRA files in kohya's format, as the Forge family reads them: deltas by kohya name, matched to parameters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

__all__ = ["deltas_of", "matching"]


def deltas_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return kohya name to the product that is added to the weight."""
    found = {}
    for key, up in tensors.items():
        name, _, part = key.partition(".")
        if part == "lora_up.weight":
            found[name] = up @ tensors[f"{name}.lora_down.weight"] * (float(tensors[f"{name}.alpha"]) / up.shape[1])
    return found


def matching(model: nn.Module, prefix: str, kohya: str, deltas: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return parameter name to delta for the parameters of `model` below `prefix`."""
    names = {}
    for key, _ in model.named_parameters():
        short = key.removeprefix(prefix).removesuffix(".weight")
        names[kohya + short.removeprefix("transformer.").replace(".", "_")] = key
        names[kohya + short.replace(".", "_")] = key
    return {names[name]: delta for name, delta in deltas.items() if name in names}
