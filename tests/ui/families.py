"""A base, two fine-tunings and a LoRA: small real files, for the tab."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.checkpoints import make_checkpoint
from tests.loras import LoraMaker

__all__ = ["make_family"]

KEY = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight"


def make_family(folder: Path) -> dict[str, Path]:
    """Write base, left, right (checkpoints) and style (a LoRA) and return their paths."""
    base = make_checkpoint(folder / "base.safetensors", "sd1", 1, width=8)
    paths = {"base": base}
    generator = torch.Generator().manual_seed(2)
    for name in ("left", "right"):
        tensors = {
            key: t + (torch.randn(t.shape, generator=generator) * 0.01).half() if t.dtype == torch.float16 else t
            for key, t in load_file(base).items()
        }
        if name == "right":
            tensors["model_ema.decay"] = torch.ones(1)
        paths[name] = folder / f"{name}.safetensors"
        save_file(tensors, paths[name])
    maker = LoraMaker(base).lora("unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", KEY)
    paths["style"] = maker.save(folder / "style.safetensors")
    return paths
