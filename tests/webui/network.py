"""The model of the test host: a module tree named like the real one, whose output depends on every weight."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Mapping

import numpy as np
import torch
from PIL import Image
from torch import nn

__all__ = ["Node", "conditioning", "denoise", "noise", "picture", "token_ids", "tree"]

SIZE = 8  # length of latents, conditionings and signatures


class Node(nn.Module):
    """A module that only holds parameters and children; the hosts hang their LoRA state on it."""

    def forward(self, visit: Callable[[nn.Module], None], name: str = "") -> torch.Tensor:
        """Return this subtree's signature: float64, shape (SIZE,), a function of every bit of every parameter."""
        return signature(self, visit, name)


def tree(tensors: Mapping[str, torch.Tensor], requires_grad: bool = True) -> Node:
    """Build nested modules with one parameter for each dotted name."""
    root = Node()
    for name, tensor in tensors.items():
        *path, leaf = name.split(".")
        node: nn.Module = root
        for part in path:
            if part not in node._modules:
                node.add_module(part, Node())
            node = node._modules[part]  # type: ignore[assignment]
        node.register_parameter(leaf, nn.Parameter(tensor, requires_grad=requires_grad))
    return root


@functools.cache
def _pattern(name: str, size: int) -> torch.Tensor:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")
    with torch.inference_mode(False):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(SIZE, size, generator=generator, dtype=torch.float64)


def signature(module: nn.Module, visit: Callable[[nn.Module], None], name: str = "") -> torch.Tensor:
    """Sum a projection of every parameter below `module`; `visit` runs on each module first, like a forward hook."""
    total = torch.zeros(SIZE, dtype=torch.float64)
    seen: set[int] = set()
    for path, child in module.named_modules(prefix=name):
        visit(child)
        plain = path.replace(".wrapped", "")
        for key, value in child._parameters.items():
            if value is None or id(value) in seen:
                continue
            seen.add(id(value))
            flat = value.detach().double().flatten()
            total += _pattern(f"{plain}.{key}", flat.numel()) @ flat
    return total


def token_ids(prompt: str, vocabulary: int = 16) -> list[int]:
    """Turn words into token numbers; the same word is the same token everywhere."""
    words = re.sub(r"<[^>]*>", " ", prompt).split()
    return [int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % vocabulary for word in words]


def conditioning(encoder: torch.Tensor, embedding: torch.Tensor, prompt: str, skip: int) -> torch.Tensor:
    """Combine the text encoder's signature with the prompt's token rows, in their order."""
    result = encoder * 0.02 / skip
    for place, token in enumerate(token_ids(prompt, len(embedding))):
        row = _pattern("tokens", embedding.shape[1]) @ embedding[token].detach().double()
        result = torch.tanh(result + row / (place + 1))
    return torch.tanh(result)


def noise(seed: int, subseed: int, strength: float) -> torch.Tensor:
    """Return the starting latent of an image."""

    def draw(number: int) -> torch.Tensor:
        return torch.randn(SIZE, generator=torch.Generator().manual_seed(number), dtype=torch.float64)

    return draw(seed) * (1 - strength) + draw(subseed) * strength


def denoise(x: torch.Tensor, unet: torch.Tensor, cond: torch.Tensor, uncond: torch.Tensor, cfg: float) -> torch.Tensor:
    """Make one sampling step."""
    guided = uncond + (cond - uncond) * cfg
    return torch.tanh(0.7 * x + 0.02 * unet + 0.3 * guided)


def picture(latent: torch.Tensor, vae: torch.Tensor, width: int, height: int) -> Image.Image:
    """Decode: a smooth picture, with a bottom row of bytes in which the last bit of every number shows."""
    state = torch.tanh(latent + 0.05 * vae).numpy()
    xs, ys = np.linspace(0, 1, width), np.linspace(0, 1, height)
    planes = []
    for channel in range(3):
        a, b, c, d = (state[(channel + i) % SIZE] for i in (0, 2, 4, 6))
        planes.append(a * xs[None, :] + b * ys[:, None] + c * np.outer(ys, xs) + d)
    pixels = (127.5 + 60 * np.stack(planes, axis=-1)).clip(0, 255).astype(np.uint8)
    digest = hashlib.sha256(state.tobytes()).digest()
    row = np.frombuffer((digest * (width * 3 // len(digest) + 1))[: width * 3], dtype=np.uint8)
    pixels[-1] = row.reshape(width, 3)
    return Image.fromarray(pixels, "RGB")
