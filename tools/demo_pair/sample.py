"""Draws with a checkpoint's tensors, many pictures at once, to look at what training does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from lib_optim.hosts.standalone.demo_text import text_encoder_tensors
from lib_optim.hosts.standalone.prompt import chunks_of
from lib_optim.hosts.standalone.samplers import build_scheduler, sampler_row
from tools.demo_pair.modules import build, load

__all__ = ["sample", "sheet"]

_SCALE = 0.18215


def sample(
    unet_tensors: Mapping[str, torch.Tensor],
    vae: Any,
    prompts: Sequence[str],
    seed: int,
    variant: int = 0,
    steps: int = 10,
    guidance: float = 5.0,
) -> list[Image.Image]:
    """Return one picture per prompt, by Euler's method; picture i has the seed `seed` + i."""
    encoder, unet = build("text_encoder").eval(), build("unet").eval()
    load("text_encoder", encoder, text_encoder_tensors(variant))
    load("unet", unet, unet_tensors)
    scheduler = build_scheduler(sampler_row("Euler"), "", "epsilon", False)
    scheduler.set_timesteps(steps)
    noise = [torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(seed + i)) for i in range(len(prompts))]
    latents = torch.stack(noise) * scheduler.init_noise_sigma
    with torch.no_grad():
        tokens = torch.tensor([chunks_of(text)[0].tokens for text in [*([""] * len(prompts)), *prompts]])
        context = encoder(tokens).last_hidden_state
        for t in scheduler.timesteps:
            scaled = scheduler.scale_model_input(torch.cat([latents, latents]), t)
            without, with_prompt = unet(scaled, t, encoder_hidden_states=context).sample.chunk(2)
            latents = scheduler.step(without + guidance * (with_prompt - without), t, latents).prev_sample
        pixels = vae.decode(latents / _SCALE).sample
    values = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(value) for value in values]


def sheet(pictures: Sequence[Image.Image], columns: int, zoom: int = 2, gap: int = 2) -> Image.Image:
    """Return the pictures in rows of `columns`."""
    width, height = (side + gap for side in pictures[0].size)
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * width - gap, rows * height - gap), "white")
    for i, picture in enumerate(pictures):
        page.paste(picture, (i % columns * width, i // columns * height))
    return page.resize((page.width * zoom, page.height * zoom), Image.Resampling.NEAREST)
