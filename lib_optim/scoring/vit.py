"""Vision transformers from the files of transformers: ViT, BEiT and DINOv2, as classifiers or for their embedding.

Written from the published architectures (Dosovitskiy et al. 2020, arXiv 2010.11929; Bao et al. 2021, arXiv 2106.08254;
Oquab et al. 2023, arXiv 2304.07193) in plain torch, for inference only, so that no version of transformers is needed.
The three differ in what `Sizes` says. Names of the files are brought to this network's by `own_names`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["EXTRAS", "Sizes", "VisionTransformer", "own_names"]

# In files, and in no use here: tokens of pretraining, buffers of other versions, the pooler of embeddings.
EXTRAS = r"mask_token|pooler\.dense\..*|.*relative_position_index|embeddings\.position_ids"


@dataclass(frozen=True)
class Sizes:
    """Shape of a network.

    Attributes:
        image: Side of the pictures its positions were learnt for, in pixels.
        patch: Side of a patch.
        width, depth, heads, hidden: Of the transformer.
        eps: Of its layer norms.
        classes: What it tells apart; 0 for a network that ends in an embedding.
        positions: Whether places are learnt, one by one (BEiT: not).
        query_bias, key_bias, value_bias: Which of the attention's layers have one (BEiT: the key has none).
        scales: Whether each step is scaled per channel (BEiT, DINOv2).
        relative: Whether attention knows distances (BEiT): a table of its own in each block.
        mean: Whether the patches' mean is normalised and used (BEiT), and not the first token after the norm.
    """

    image: int = 224
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    eps: float = 1e-12
    classes: int = 0
    positions: bool = True
    query_bias: bool = True
    key_bias: bool = True
    value_bias: bool = True
    scales: bool = False
    relative: bool = False
    mean: bool = False


_RENAMED = (
    (r"(?:vit|beit|dinov2)\.", ""),
    (r"embeddings\.(cls_token|mask_token)", r"\1"),
    (r"embeddings\.position_embeddings", "positions"),
    (r"embeddings\.patch_embeddings\.projection", "patches"),
    (r"encoder\.layer\.", "blocks."),
    (r"attention\.attention\.relative_position_bias\.relative_position_bias_table", "table"),
    (r"attention\.attention\.(query|key|value)", r"\1"),
    (r"attention\.output\.dense", "mix"),
    (r"layernorm_before", "norm1"),
    (r"layernorm_after", "norm2"),
    (r"intermediate\.dense|mlp\.fc1", "wide"),
    (r"output\.dense|mlp\.fc2", "narrow"),
    (r"lambda_1|layer_scale1\.lambda1", "scale1"),
    (r"lambda_2|layer_scale2\.lambda1", "scale2"),
    (r"pooler\.layernorm", "norm"),
    (r"^layernorm", "norm"),
)


def own_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a file of transformers under the names of `VisionTransformer`."""
    found = {}
    for name, tensor in tensors.items():
        own = name
        for old, new in _RENAMED:
            own = re.sub(old, new, own, count=1)
        found[own] = tensor
    return found


class _Block(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.heads = sizes.heads
        self.norm1 = nn.LayerNorm(width, eps=sizes.eps)
        self.query = nn.Linear(width, width, bias=sizes.query_bias)
        self.key = nn.Linear(width, width, bias=sizes.key_bias)
        self.value = nn.Linear(width, width, bias=sizes.value_bias)
        self.mix = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=sizes.eps)
        self.wide = nn.Linear(width, sizes.hidden)
        self.narrow = nn.Linear(sizes.hidden, width)
        self.scale1 = nn.Parameter(torch.ones(width)) if sizes.scales else None
        self.scale2 = nn.Parameter(torch.ones(width)) if sizes.scales else None
        side = sizes.image // sizes.patch
        self.table = nn.Parameter(torch.zeros((2 * side - 1) ** 2 + 3, sizes.heads)) if sizes.relative else None

    def forward(self, x: Tensor, distances: Tensor | None) -> Tensor:
        mixed = self.mix(self._attended(self.norm1(x), distances))
        x = x + (mixed if self.scale1 is None else mixed * self.scale1)
        changed = self.narrow(nn.functional.gelu(self.wide(self.norm2(x))))
        return x + (changed if self.scale2 is None else changed * self.scale2)

    def _attended(self, x: Tensor, distances: Tensor | None) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            layer(x).view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        if self.table is not None and distances is not None:
            scores = scores + self.table[distances].permute(2, 0, 1)
        return (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, length, width)


class VisionTransformer(nn.Module):
    """Pictures to classes or to an embedding."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        side = sizes.image // sizes.patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.positions = nn.Parameter(torch.zeros(1, side * side + 1, sizes.width)) if sizes.positions else None
        self.patches = nn.Conv2d(3, sizes.width, sizes.patch, sizes.patch)
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.eps)
        self.classifier = nn.Linear(sizes.width, sizes.classes) if sizes.classes else None

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes), or the embedding (batch, width).

        Args:
            images: Shape (batch, 3, side, side), normalised; a side other than the network's own, a multiple of the
                patch, has its places interpolated (bicubic), which networks with distances cannot.
        """
        x = self.patches(images)
        side = x.shape[-1]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        if self.positions is not None:
            x = x + self._places(side)
        distances = _distances(side).to(x.device) if self.sizes.relative else None
        for block in self.blocks:
            x = block(x, distances)
        x = self.norm(x[:, 1:].mean(dim=1)) if self.sizes.mean else self.norm(x)[:, 0]
        return x if self.classifier is None else self.classifier(x)

    def _places(self, side: int) -> Tensor:
        assert self.positions is not None
        own = self.sizes.image // self.sizes.patch
        if side == own:
            return self.positions
        grid = self.positions[:, 1:].reshape(1, own, own, -1).permute(0, 3, 1, 2)
        grid = nn.functional.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
        return torch.cat((self.positions[:, :1], grid.flatten(2).transpose(1, 2)), dim=1)


def _distances(side: int) -> Tensor:
    """Return the table's row for each pair of tokens, (side² + 1, side² + 1); the last three are the first token's."""
    place = torch.arange(side * side)
    row, column = place // side, place % side
    down = row[:, None] - row[None, :] + side - 1
    across = column[:, None] - column[None, :] + side - 1
    known = (2 * side - 1) ** 2
    found = torch.empty(side * side + 1, side * side + 1, dtype=torch.long)
    found[1:, 1:] = down * (2 * side - 1) + across
    found[0, :] = known
    found[:, 0] = known + 1
    found[0, 0] = known + 2
    return found
