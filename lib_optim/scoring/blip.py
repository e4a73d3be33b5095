"""ImageReward's network: a ViT that sees the picture, a BERT that reads the prompt and looks at it, a linear head.

Written from the published architecture (BLIP, Li et al. 2022, arXiv 2201.12086; ImageReward, Xu et al. 2023, arXiv
2304.05977) in plain torch, for inference only. Names and order of operations are those of the original, so that its
file loads as it is and its rewards come out to the last bit on the CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["FULL", "RewardNetwork", "Sizes", "Towers"]

_MEAN, _STD = 0.16717362830052426, 1.0333394966054072


@dataclass(frozen=True)
class Sizes:
    """Shapes of the network; the defaults are ImageReward's."""

    image: int = 224
    patch: int = 16
    vision_width: int = 1024
    vision_depth: int = 24
    vision_heads: int = 16
    text_width: int = 768
    text_depth: int = 12
    text_heads: int = 12
    text_hidden: int = 3072
    vocabulary: int = 30524
    positions: int = 512
    head: tuple[int, ...] = (1024, 128, 64, 16)


FULL = Sizes()


class _VisionAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        split = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = split[0], split[1], split[2]
        weights = ((q @ k.transpose(-2, -1)) * (width // self.heads) ** -0.5).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, length, width))


class _VisionMlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class _VisionBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _VisionAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _VisionMlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _Patches(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)


class _Vision(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.vision_width
        self.patch_embed = _Patches(width, sizes.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (sizes.image // sizes.patch) ** 2 + 1, width))
        self.blocks = nn.ModuleList(_VisionBlock(width, sizes.vision_heads) for _ in range(sizes.vision_depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embed(images)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class _Words(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(sizes.vocabulary, sizes.text_width)
        self.position_embeddings = nn.Embedding(sizes.positions, sizes.text_width)
        self.LayerNorm = nn.LayerNorm(sizes.text_width, eps=1e-12)

    def forward(self, ids: Tensor) -> Tensor:
        return self.LayerNorm(self.word_embeddings(ids) + self.position_embeddings.weight[: ids.shape[1]])


class _TextAttention(nn.Module):
    """Of the words to each other, or to what the vision tower saw."""

    def __init__(self, width: int, source: int, heads: int) -> None:
        super().__init__()
        self.heads, self.each = heads, width // heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(source, width)
        self.value = nn.Linear(source, width)

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = self._split(self.query(x)), self._split(self.key(source)), self._split(self.value(source))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.each)
        if mask is not None:
            scores = scores + mask
        mixed = torch.matmul(scores.softmax(dim=-1), v).permute(0, 2, 1, 3).contiguous()
        return mixed.view(*mixed.shape[:-2], self.heads * self.each)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, self.each).permute(0, 2, 1, 3)


class _Added(nn.Module):
    """A linear layer whose result is added to what came before, then normalised."""

    def __init__(self, source: int, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(source, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + before)


class _Attended(nn.Module):
    def __init__(self, width: int, source: int, heads: int) -> None:
        super().__init__()
        self.self = _TextAttention(width, source, heads)
        self.output = _Added(width, width)

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
        return self.output(self.self(x, source, mask), x)


class _Dense(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(self.dense(x))


class _TextLayer(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.attention = _Attended(sizes.text_width, sizes.text_width, sizes.text_heads)
        self.crossattention = _Attended(sizes.text_width, sizes.vision_width, sizes.text_heads)
        self.intermediate = _Dense(sizes.text_width, sizes.text_hidden)
        self.output = _Added(sizes.text_hidden, sizes.text_width)

    def forward(self, x: Tensor, mask: Tensor, seen: Tensor) -> Tensor:
        x = self.attention(x, x, mask)
        x = self.crossattention(x, seen, None)
        return self.output(self.intermediate(x), x)


class _TextLayers(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_TextLayer(sizes) for _ in range(sizes.text_depth))


class _Text(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embeddings = _Words(sizes)
        self.encoder = _TextLayers(sizes)

    def forward(self, ids: Tensor, mask: Tensor, seen: Tensor) -> Tensor:
        x = self.embeddings(ids)
        # -10000, not -inf: what the original adds, and so what its weights were trained with.
        ignored = (1.0 - mask[:, None, None, :].to(x.dtype)) * -10000.0
        for layer in self.encoder.layer:
            x = layer(x, ignored, seen)
        return x


class Towers(nn.Module):
    """The two parts that BLIP's networks have in common."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.visual_encoder = _Vision(sizes)
        self.text_encoder = _Text(sizes)


class _Head(nn.Module):
    """Linear layers in a row without activations: the original trained them so, with dropout in between."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        first, second, third, fourth = sizes.head
        self.layers = nn.Sequential(
            nn.Linear(sizes.text_width, first), nn.Identity(), nn.Linear(first, second), nn.Identity(),
            nn.Linear(second, third), nn.Identity(), nn.Linear(third, fourth), nn.Linear(fourth, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class RewardNetwork(nn.Module):
    """Pictures and prompts to rewards."""

    def __init__(self, sizes: Sizes = FULL) -> None:
        super().__init__()
        self.sizes = sizes
        self.blip = Towers(sizes)
        self.mlp = _Head(sizes)

    def forward(self, images: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Return one reward per image, shape (batch,), float32, about -2.3 to 2.

        Args:
            images: Shape (batch, 3, size, size), float32, normalised as CLIP does.
            ids: Shape (batch, length), int64.
            mask: Shape (batch, length), 1 for tokens and 0 for padding.
        """
        seen = self.blip.visual_encoder(images)
        first = self.blip.text_encoder(ids, mask, seen)[:, 0, :]
        return ((self.mlp(first) - _MEAN) / _STD).squeeze(-1)
