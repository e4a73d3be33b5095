"""From a prompt to the text encoders' output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.standalone.model import LoadedModel
from lib_optim.hosts.standalone.prompt import Chunk, chunks_of
from lib_optim.hosts.standalone.tokenizer import EOS

if TYPE_CHECKING:
    import torch

__all__ = ["Embedding", "encode", "pad_alike"]


@dataclass(frozen=True)
class Embedding:
    """An encoded prompt: `context` [1, 77 · chunks, width], and for SDXL `pooled` [1, width]."""

    context: torch.Tensor
    pooled: torch.Tensor | None


def encode(model: LoadedModel, prompt: str, clip_skip: int, negative: bool = False) -> Embedding:
    """Encode a prompt, or return it from the model's cache, which every write to a text encoder empties.

    SD1 takes the output of the `clip_skip`-th layer from the end through the final norm. SDXL takes both encoders'
    last but one layer (or an earlier one if `clip_skip` says so) without it; its empty negative prompt is all zeros.
    """
    key = (prompt, clip_skip, negative)
    if key not in model.embeddings:
        encoder = _encode_sdxl if "text_encoder_2" in model.modules else _encode_sd1
        model.embeddings[key] = encoder(model, prompt, clip_skip, negative)
    return model.embeddings[key]


def pad_alike(model: LoadedModel, a: Embedding, b: Embedding, clip_skip: int) -> tuple[Embedding, Embedding]:
    """Make both contexts equally long by appending empty chunks to the shorter one."""
    import torch

    def longer(short: Embedding, length: int) -> Embedding:
        missing = length - short.context.shape[1]
        empty = encode(model, "", clip_skip).context
        return Embedding(torch.cat([short.context] + [empty] * (missing // empty.shape[1]), dim=1), short.pooled)

    length = max(a.context.shape[1], b.context.shape[1])
    return longer(a, length), longer(b, length)


def _encode_sd1(model: LoadedModel, prompt: str, clip_skip: int, _: bool) -> Embedding:
    import torch

    encoder = model.modules["text_encoder"]
    parts = []
    for chunk in chunks_of(prompt):
        hidden = _run(encoder, chunk).hidden_states[-min(clip_skip, _layers(encoder))]
        parts.append(_weighted(encoder.text_model.final_layer_norm(hidden), chunk.weights))
    return Embedding(torch.cat(parts, dim=1), None)


def _encode_sdxl(model: LoadedModel, prompt: str, clip_skip: int, negative: bool) -> Embedding:
    import torch

    first, second = model.modules["text_encoder"], model.modules["text_encoder_2"]
    parts, pooled = [], None
    for one, two in zip(chunks_of(prompt, EOS), chunks_of(prompt, 0), strict=True):
        outputs = [_run(first, one), _run(second, two)]
        hidden = [
            out.hidden_states[-min(max(2, clip_skip), _layers(encoder))]
            for out, encoder in zip(outputs, (first, second), strict=True)
        ]
        parts.append(torch.cat([_weighted(h, one.weights) for h in hidden], dim=-1))
        pooled = outputs[1].text_embeds if pooled is None else pooled  # of the first chunk, as the WebUI does
    context = torch.cat(parts, dim=1)
    if negative and not prompt:
        context, pooled = torch.zeros_like(context), torch.zeros_like(pooled)
    return Embedding(context, pooled)


def _layers(encoder: Any) -> int:
    return int(encoder.config.num_hidden_layers)


def _run(encoder: Any, chunk: Chunk) -> Any:
    import torch

    return encoder(torch.tensor([chunk.tokens], device=encoder.device), output_hidden_states=True)


def _weighted(hidden: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Emphasis as in the WebUI: multiply, then bring the mean back to what it was.

    Where the mean is next to nothing beside the spread, bringing it back would blow the rest up, and is left out.
    """
    if all(weight == 1.0 for weight in weights):
        return hidden
    factors = hidden.new_tensor(weights).reshape(1, -1, 1)
    scaled = hidden * factors
    before, after, spread = hidden.float().mean(), scaled.float().mean(), scaled.float().std()
    if float(after.abs()) < 1e-3 * float(spread):
        return scaled
    return (scaled * (before / after)).to(hidden.dtype)
