"""Trains a classifier of the drawn pictures: the demo scorer, and with another seed the judge that checks it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from lib_optim.scoring.demo import log_probabilities
from lib_optim.scoring.demo_words import VOCABULARY
from tools.demo_pair.vae import drawn

__all__ = ["accuracy", "train_classifier"]

_WIDTHS = (3, 16, 32, 48, 64)
_SMOOTH = 0.05


def train_classifier(
    steps: int, seed: int, vae: Any = None, count: int = 8_000, batch: int = 64, log: Callable[[str], None] = print
) -> dict[str, torch.Tensor]:
    """Train and return a classifier's weights, fp32.

    Args:
        steps: Steps of `batch` pictures.
        seed: Of pictures, weights and order.
        vae: With it a quarter of the pictures have gone through it, as those of the checkpoints have.
        count: Pictures drawn.
        batch: Pictures per step.
        log: Takes one line every 200 steps.
    """
    torch.manual_seed(seed)
    pixels, words = drawn(count, seed)
    if vae is not None:
        with torch.no_grad():
            for part in pixels[: count // 4].split(50):
                seen = vae.decode(vae.encode(part.float() / 127.5 - 1).latent_dist.mean).sample
                part.copy_(((seen.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8))
    weights = _initial()
    optimizer = torch.optim.AdamW(weights.values(), lr=3e-3, weight_decay=1e-2)
    draws = torch.Generator().manual_seed(seed)
    running = 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (0.5 + 0.5 * math.cos(math.pi * step / steps)) * min(1.0, (step + 1) / 50)
        chosen = torch.randint(0, count, (2, batch), generator=draws)
        share = torch.where(torch.rand(batch, generator=draws) < 0.5, torch.rand(batch, generator=draws), 1.0)
        s = share.reshape(-1, 1, 1, 1)
        one, other = (_disturbed(pixels[c].float() / 127.5 - 1, draws) for c in chosen)
        answers = log_probabilities(weights, s * one + (1 - s) * other)
        loss = _loss(answers, words[chosen[0]], share) + _loss(answers, words[chosen[1]], 1 - share)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        running += (float(loss.detach()) - running) / min(step + 1, 100)
        if step % 200 == 199:
            log(f"classifier {step + 1}/{steps} loss {running:.4f}")
    return {name: weight.detach() for name, weight in weights.items()}


def accuracy(weights: Mapping[str, torch.Tensor], count: int, seed: int) -> dict[str, float]:
    """Return the share of right answers on freshly drawn pictures, by the name of what they say."""
    pixels, words = drawn(count, seed)
    with torch.no_grad():
        answers = log_probabilities(weights, pixels.float() / 127.5 - 1)
    return {
        name: float((answer.argmax(dim=1) == words[:, i]).float().mean())
        for i, (name, answer) in enumerate(answers.items())
    }


def _initial() -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = {}
    for i, (width, out) in enumerate(itertools.pairwise(_WIDTHS)):
        weights[f"conv{i}.weight"] = torch.randn(out, width, 3, 3) * math.sqrt(2 / (9 * width))
        weights[f"conv{i}.bias"] = torch.zeros(out)
    total = sum(len(words) for words in VOCABULARY.values())
    weights["head.weight"] = torch.randn(total, 2 * _WIDTHS[-1]) / math.sqrt(2 * _WIDTHS[-1])
    weights["head.bias"] = torch.zeros(total)
    return {name: weight.requires_grad_() for name, weight in weights.items()}


def _loss(answers: Mapping[str, torch.Tensor], words: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    losses = [
        functional.cross_entropy(answer, words[:, i], reduction="none", label_smoothing=_SMOOTH)
        for i, answer in enumerate(answers.values())
    ]
    return (share * torch.stack(losses).mean(dim=0)).mean()


def _disturbed(images: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Some pictures blurred, some noisy, all a little brighter or darker, shifted by a few pixels."""
    n = len(images)

    def some(share: float) -> torch.Tensor:
        return (torch.rand(n, generator=draws) < share).float().reshape(-1, 1, 1, 1)

    blurred = functional.avg_pool2d(functional.pad(images, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    pick = 0.7 * some(0.4)
    images = images + pick * (blurred - images)
    images = images + 0.15 * some(0.4) * torch.randn(images.shape, generator=draws)
    images = images * (1 + 0.08 * torch.randn(n, 1, 1, 1, generator=draws))
    images = images + 0.05 * torch.randn(n, 1, 1, 1, generator=draws)
    x, y = (int(v) for v in torch.randint(-4, 5, (2,), generator=draws))
    return torch.roll(images, (y, x), dims=(2, 3)).clamp(-1, 1)
