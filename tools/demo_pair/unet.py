"""Trains the UNet: the ancestor, and from it the two fine-tunes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor

from lib_optim.hosts.standalone.demo_layout import UNET, demo_shapes, has_middle_only, idle_tensor, is_idle, is_tuned
from lib_optim.hosts.standalone.model import live_table, skeleton
from lib_optim.plan.architectures import ARCHITECTURES
from tools.demo_pair.data import Data, contexts
from tools.demo_pair.modules import build, load, tensors_of

__all__ = ["Recipe", "train_unet"]

_SNR = 5.0  # Hang et al. 2023: the weight of a step is that of this signal-to-noise ratio at most
_OPEN = 0.12  # share of captions that leave colour, place or time open
_EMPTY = 0.1  # share of empty prompts, for classifier-free guidance
_DECAY = 0.999


@dataclass(frozen=True)
class Recipe:
    """One training.

    Attributes:
        steps: Steps of `batch` pictures.
        rate: Learning rate at its highest.
        batch: Pictures per step.
        variant: Of the text encoder.
        wrong: Column of `data.NAMES` and, for each of its words, the word that captions say instead; None for true
            captions.
        course: Steps that the learning rate's course is laid out for, if more than `steps`.
    """

    steps: int
    rate: float
    batch: int = 32
    variant: int = 0
    wrong: tuple[int, tuple[int, ...]] | None = None
    course: int = 0


def train_unet(
    recipe: Recipe,
    data: Data,
    seed: int,
    start: Mapping[str, torch.Tensor] | None = None,
    log: Callable[[str], None] = print,
    save: Path | None = None,
) -> dict[str, torch.Tensor]:
    """Train and return a UNet's tensors (their moving average), fp32.

    Args:
        recipe: How.
        data: On what.
        seed: Of weights, noise and order.
        start: The ancestor; with it only what fine-tunes may change is trained.
        log: Takes one line every 50 steps.
        save: Where the state is kept every 200 steps, and taken up again if it is there.
    """
    torch.manual_seed(seed)
    texts, rows = contexts(recipe.variant)
    table = _row_table(rows)
    unet: Any = build("unet")
    if start is None:
        _begin_silent(unet)
    else:
        load("unet", unet, start)
    unet.set_attn_processor(AttnProcessor())  # faster than the fused one for heads this small
    unet.to(memory_format=torch.channels_last).train()
    trained = _trained(unet, start is not None)
    for parameter in unet.parameters():
        parameter.requires_grad_(False)
    for parameter in trained.values():
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=1e-3)
    resting = [(m, m.ff) for m in unet.modules() if hasattr(m, "ff") and not any(p.any() for p in m.ff.parameters())]
    for module, _ in resting:
        module.ff = _Nothing()
    average = {name: parameter.detach().clone() for name, parameter in trained.items()}
    signal = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
    first = 0
    if save is not None and save.exists():
        state = torch.load(save, weights_only=True)
        unet.load_state_dict(state["unet"])
        optimizer.load_state_dict(state["optimizer"])
        average, first = state["average"], state["step"]
    started, running = time.monotonic(), 0.0
    for step in range(first, recipe.steps):
        draws = torch.Generator().manual_seed(seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _course(step, max(recipe.steps, recipe.course))
        loss = _loss(unet, data, recipe, texts, table, signal, draws)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        decay = min(_DECAY, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), [p.detach() for p in trained.values()], 1 - decay)
        running += (float(loss.detach()) - running) / min(step + 1 - first, 100)
        if step % 50 == 49:
            each = (time.monotonic() - started) / (step + 1 - first)
            log(f"unet {step + 1}/{recipe.steps} loss {running:.4f} {each:.2f} s/step")
        if save is not None and step % 200 == 199:
            state = {
                "unet": unet.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": average,
                "step": step + 1,
            }
            torch.save(state, save.with_suffix(".part"))
            save.with_suffix(".part").replace(save)
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(average[name])
    for module, layer in resting:
        module.ff = layer
    return tensors_of("unet", unet)


def _loss(
    unet: Any,
    data: Data,
    recipe: Recipe,
    texts: torch.Tensor,
    table: torch.Tensor,
    signal: torch.Tensor,
    draws: torch.Generator,
) -> torch.Tensor:
    size = recipe.batch
    chosen = torch.randint(0, len(data.latents), (size,), generator=draws)
    latents, words = data.latents[chosen], data.words[chosen].clone()
    if recipe.wrong is not None:
        column, instead = recipe.wrong
        words[:, column] = torch.tensor(instead)[words[:, column]]
    open_ = torch.rand((size, 3), generator=draws) < _OPEN
    words[:, 1:4][open_] = -1
    words[:, 1:4] += 1
    found = table[tuple(words.unbind(1))]
    found[torch.rand(size, generator=draws) < _EMPTY] = 0
    t = torch.randint(0, 1000, (size,), generator=draws)
    noise = torch.randn(latents.shape, generator=draws)
    s = signal[t].reshape(-1, 1, 1, 1)
    noisy = (s.sqrt() * latents + (1 - s).sqrt() * noise).contiguous(memory_format=torch.channels_last)
    predicted = unet(noisy, t, encoder_hidden_states=texts[found]).sample
    ratio = signal[t] / (1 - signal[t])
    weight = ratio.clamp(max=_SNR) / ratio
    return (weight * (predicted - noise).pow(2).mean(dim=(1, 2, 3))).mean()


def _course(step: int, steps: int) -> float:
    """Warm-up over a tenth (100 steps at most), plateau, and a fall to nothing over the last 40 %."""
    fall = max(0.0, step / steps - 0.6) / 0.4
    warm = min(1.0, (step + 1) / min(100, 1 + steps // 10))
    return warm * (0.5 + 0.5 * math.cos(math.pi * fall)) + 1e-3


def _row_table(rows: Mapping[tuple[int, ...], int]) -> torch.Tensor:
    """Return rows as a tensor to index with words, of which the three that may be open are raised by 1."""
    raised = {(w[0], w[1] + 1, w[2] + 1, w[3] + 1, w[4]): row for w, row in rows.items()}
    table = torch.zeros([max(w[i] for w in raised) + 1 for i in range(5)], dtype=torch.long)
    for words, row in raised.items():
        table[words] = row
    return table


def _begin_silent(unet: Any) -> None:
    """As in Stable Diffusion's own code: the last layer of every block begins at 0. And idle parts are idle."""
    for name, parameter in unet.named_parameters():
        if ".conv2." in name or "proj_out." in name or name.startswith("conv_out."):
            torch.nn.init.zeros_(parameter)
    tensors = tensors_of("unet", unet)
    for key, tensor in tensors.items():
        if is_idle(key):
            tensors[key] = idle_tensor(key)
        elif has_middle_only(key):
            middle = tensor[:, :, 1, 1].clone()
            tensor.zero_()[:, :, 1, 1] = 3 * middle  # as much as a kernel that sees all of its nine inputs
    load("unet", unet, tensors)


class _Nothing(torch.nn.Module):
    """Stands in for an idle feed-forward layer, for speed."""

    def forward(self, hidden: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        return torch.zeros_like(hidden)


def _trained(unet: Any, fine_tune: bool) -> dict[str, Any]:
    """Return the parameters that learn: all that are not idle, in a fine-tune only what it may change."""
    shapes = demo_shapes()
    sd1 = next(row for row in ARCHITECTURES if row.id == "sd1")
    sources = live_table(shapes, sd1, skeleton(shapes, "sd1")).sources
    names = {
        target.name.removeprefix("unet.")
        for key, source in sources.items()
        if key.startswith(UNET) and not is_idle(key)
        if not fine_tune or is_tuned(key)
        for target in source.targets
    }
    return {name: parameter for name, parameter in unet.named_parameters() if name in names}
