"""Trains the VAE: what it must get right are edges and flat colours."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lib_optim.scoring.demo_words import VOCABULARY
from tools.demo_pair.modules import build, load, put_back, tensors_of, without_idle
from tools.demo_pair.scenes import draw, random_scene

__all__ = ["drawn", "train_decoder", "train_vae"]

_SCALE = 0.18215  # SD1's: latents times this have deviation 1
_BLUR = 0.08  # deviation of the noise on the latents in training, beside theirs of 1
_SPREAD = -6.0  # log variance that the encoder states, of latents of deviation 1


def drawn(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return drawn pictures, uint8 [count, 3, 64, 64], and what they show: the number of each word, [count, 5]."""
    draws = random.Random(f"pictures {seed}")
    stack, words = [], []
    for _ in range(count):
        scene = random_scene(draws)
        stack.append(np.asarray(draw(scene, draws)))
        words.append([row.index(getattr(scene, name)) for name, row in VOCABULARY.items()])
    return torch.from_numpy(np.stack(stack)).permute(0, 3, 1, 2).contiguous(), torch.tensor(words)


def train_vae(
    steps: int,
    seed: int,
    count: int = 10_000,
    batch: int = 16,
    log: Callable[[str], None] = print,
) -> dict[str, torch.Tensor]:
    """Train and return the VAE's tensors, fp32, scaled so that SD1's factor gives latents of deviation 1."""
    torch.manual_seed(seed)
    data, _ = drawn(count, seed)
    vae: Any = build("vae")
    taken = without_idle(vae)
    for name, parameter in vae.named_parameters():
        if ".resnets." in name and ".conv2." in name:
            torch.nn.init.zeros_(parameter)  # each block begins by passing its input on
    vae.train()
    parameters = [p for p in vae.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1.5e-3, betas=(0.9, 0.98), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: _rate(i, steps))
    order = torch.Generator().manual_seed(seed)
    started, running = time.monotonic(), 0.0
    for step in range(steps):
        images = data[torch.randint(0, count, (batch,), generator=order)].float() / 127.5 - 1
        mean = vae.encode(images).latent_dist.mean
        spread = mean.detach().std(dim=(0, 2, 3), keepdim=True)
        decoded = vae.decode(mean + _BLUR * spread * torch.randn(mean.shape, generator=order)).sample
        loss = _loss(decoded, images) + 1e-4 * mean.pow(2).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        running += (float(loss.detach()) - running) / min(step + 1, 50)
        if step % 50 == 49:
            log(f"vae {step + 1}/{steps} loss {running:.4f} {(time.monotonic() - started) / (step + 1):.2f} s/step")
    vae.eval()
    _normalise(vae, data[:1024])
    put_back(taken)
    return tensors_of("vae", vae)


def train_decoder(
    start: Mapping[str, torch.Tensor],
    steps: int,
    seed: int,
    count: int = 3_000,
    batch: int = 16,
    log: Callable[[str], None] = print,
) -> dict[str, torch.Tensor]:
    """Go on with the decoder alone, so that the latents on which a UNet learns at the same time stay what they are."""
    torch.manual_seed(seed)
    data, _ = drawn(count, seed)
    vae: Any = build("vae").eval()
    load("vae", vae, start)
    taken = without_idle(vae)
    with torch.no_grad():
        latents = torch.cat([vae.encode(p.float() / 127.5 - 1).latent_dist.mean for p in data.split(100)])
    half = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    optimizer = torch.optim.AdamW(half, lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-4)
    order = torch.Generator().manual_seed(seed)
    running = 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * _rate(step, steps)
        chosen = torch.randint(0, count, (batch,), generator=order)
        noise = _BLUR / _SCALE * torch.randn(batch, *latents.shape[1:], generator=order)
        loss = _loss(vae.decode(latents[chosen] + noise).sample, data[chosen].float() / 127.5 - 1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(half, 1.0)
        optimizer.step()
        running += (float(loss.detach()) - running) / min(step + 1, 50)
        if step % 50 == 49:
            log(f"decoder {step + 1}/{steps} loss {running:.4f}")
    put_back(taken)
    return tensors_of("vae", vae)


def _rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 1e-3


def _loss(decoded: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    difference = decoded - images
    edges = sum(functional.l1_loss(torch.diff(decoded, dim=d), torch.diff(images, dim=d)) for d in (2, 3))
    return difference.abs().mean() + 2 * difference.pow(2).mean() + 0.5 * edges


def _normalise(vae: Any, data: torch.Tensor) -> None:
    """Fold mean 0 and deviation 1 / scale per channel into the two 1x1 convolutions between which latents live."""
    with torch.no_grad():
        parts = [vae.encode(images.float() / 127.5 - 1).latent_dist.mean for images in data.split(64)]
        latents = torch.cat(parts)
        mean, factor = latents.mean(dim=(0, 2, 3)), 1 / (_SCALE * latents.std(dim=(0, 2, 3)))
        quant, post = vae.quant_conv, vae.post_quant_conv
        quant.weight[:4] *= factor.reshape(-1, 1, 1, 1)
        quant.bias[:4] = (quant.bias[:4] - mean) * factor
        quant.weight[4:] = 0
        quant.bias[4:] = _SPREAD - 2 * math.log(_SCALE)
        post.bias += (post.weight[:, :, 0, 0] * mean).sum(dim=1)
        post.weight /= factor.reshape(1, -1, 1, 1)
