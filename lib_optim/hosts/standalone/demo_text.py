"""The text encoder of the demo checkpoints: made from a seed, trained by nobody, and yet good enough to listen to.

A CLIP text model whose first layer is built by hand: its one head looks at the token before, by the positions, and
writes it beside the token itself, so that at "house" one can read both "house" and the "red" before it. Every token has
a random embedding. The other layers add a little of everything that came before, as noise would.

Features of the width: positions, then the token, then the token before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lib_optim.hosts.standalone.demo_layout import CONTEXT, demo_shapes
from lib_optim.hosts.standalone.narrow_layout import CLIP, POSITIONS

if TYPE_CHECKING:
    import torch

__all__ = ["text_encoder_tensors"]

_SEED = 20240501
_PLACES = 16  # features that tell the position: cosine and sine at 8 frequencies
_WORD = (CONTEXT - _PLACES) // 2  # features of a token, and of the one before
_SHARPNESS = 60.0  # of the look at the token before
_MURMUR = 0.12  # what the other layers add, beside the tokens' 1
_RELATED = 0.97  # correlation of the other layers between two variants
_BIAS = 0.3  # of the last norm: emphasis divides by the mean of the output, which must not be 0


def text_encoder_tensors(variant: int) -> dict[str, torch.Tensor]:
    """Return the text encoder in fp32, LDM names. Variants differ a little, in all layers but the first."""
    import torch

    first, other = torch.Generator().manual_seed(_SEED), torch.Generator().manual_seed(_SEED + 1 + variant)
    tensors = {}
    for key, shape in sorted(demo_shapes().items()):
        if not key.startswith(CLIP):
            continue
        if "norm" in key:
            value = torch.full(shape, 1.0 if key.endswith("weight") else 0.0)
        elif len(shape) == 1:
            value = torch.zeros(shape)
        elif "token_embedding" in key:
            value = _tokens(shape, first)
        elif "position_embedding" in key:
            value = _positions()
        else:
            value = torch.randn(shape, generator=first)
            if variant:
                fresh = torch.randn(shape, generator=other)
                value = _RELATED * value + math.sqrt(1 - _RELATED**2) * fresh
            gain = _MURMUR if any(name in key for name in ("out_proj", "fc2")) else 1.0
            value *= gain / math.sqrt(shape[1])
        tensors[key] = value
    tensors[f"{CLIP}final_layer_norm.bias"] += _BIAS
    tensors |= _look_back()
    return tensors


def _tokens(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Random embeddings of equal length and mean 0 in the token's features, nothing in the others."""
    import torch

    words = torch.randn((shape[0], _WORD), generator=generator)
    words -= words.mean(dim=1, keepdim=True)
    words *= math.sqrt(_WORD) / words.norm(dim=1, keepdim=True)
    value = torch.zeros(shape)
    value[:, _PLACES : _PLACES + _WORD] = words
    return value


def _frequencies() -> torch.Tensor:
    import torch

    return torch.tensor([math.pi * (i + 0.5) / (_PLACES // 2) for i in range(_PLACES // 2)])


def _positions() -> torch.Tensor:
    import torch

    angles = torch.arange(POSITIONS).unsqueeze(1) * _frequencies()
    value = torch.zeros(POSITIONS, CONTEXT)
    value[:, :_PLACES] = torch.cat([angles.cos(), angles.sin()], dim=1)
    return value


def _look_back() -> dict[str, torch.Tensor]:
    """The first layer's attention: from each position to the one before it, carrying its token."""
    import torch

    half = _PLACES // 2
    cosine, sine = torch.diag(_frequencies().cos()), torch.diag(_frequencies().sin())
    query, key, value, output = (torch.zeros(CONTEXT, CONTEXT) for _ in range(4))
    query[:half, :half], query[:half, half:_PLACES] = cosine, sine  # cos(p - 1), sin(p - 1) from those of p
    query[half:_PLACES, :half], query[half:_PLACES, half:_PLACES] = -sine, cosine
    query *= _SHARPNESS
    key[:_PLACES, :_PLACES] = torch.eye(_PLACES)
    value[:_WORD, _PLACES : _PLACES + _WORD] = torch.eye(_WORD)
    output[_PLACES + _WORD :, :_WORD] = 0.7 * torch.eye(_WORD)  # the norm before it has made the token larger
    layer = f"{CLIP}encoder.layers.0."
    silent = {f"{layer}mlp.fc2.weight": torch.zeros(CONTEXT, 4 * CONTEXT)}
    names = {"q_proj": query, "k_proj": key, "v_proj": value, "out_proj": output}
    return {f"{layer}self_attn.{name}.weight": matrix for name, matrix in names.items()} | silent
