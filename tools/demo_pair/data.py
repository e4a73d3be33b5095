"""What the UNet learns from: latents of drawn pictures, and the text encoder's answer to every caption there is."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lib_optim.hosts.standalone.demo_text import text_encoder_tensors
from lib_optim.hosts.standalone.prompt import chunks_of
from lib_optim.scoring.demo_words import VOCABULARY
from tools.demo_pair.modules import build, load
from tools.demo_pair.scenes import Scene, all_scenes, caption, draw, random_scene

__all__ = ["NAMES", "Data", "contexts", "held_out", "make_data", "scene_of"]

NAMES = ("thing", "colour", "place", "time", "style")
_SCALE = 0.18215
_HELD = 0.08  # share of (thing, colour, place, time) that no training picture shows


@dataclass(frozen=True)
class Data:
    """Pictures as latents [n, 4, 8, 8] of deviation 1, and what they show: words [n, 5] in the order of `NAMES`."""

    latents: torch.Tensor
    words: torch.Tensor


def held_out() -> list[Scene]:
    """Return the scenes that training never sees, in all styles; the same in every run."""
    kept = sorted({(s.thing, s.colour, s.place, s.time) for s in all_scenes()}, key=str)
    random.Random("held out").shuffle(kept)
    out = set(kept[: round(_HELD * len(kept))])
    return [s for s in all_scenes() if (s.thing, s.colour, s.place, s.time) in out]


def make_data(vae: Any, count: int, seed: int) -> Data:
    """Draw `count` pictures, none of a held-out scene, and encode them."""
    draws, out = random.Random(f"data {seed}"), set(held_out())
    latents, words = [], []
    while len(words) < count:
        pixels = []
        while len(pixels) < 100:
            scene = random_scene(draws)
            if scene not in out:
                pixels.append(np.asarray(draw(scene, draws)))
                words.append([VOCABULARY[name].index(getattr(scene, name)) for name in NAMES])
        images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            latents.append(vae.encode(images).latent_dist.mean * _SCALE)
    return Data(torch.cat(latents)[:count].contiguous(), torch.tensor(words[:count]))


def scene_of(words: tuple[int, ...]) -> Scene:
    """Return the scene of one row of words; -1 leaves open."""
    said = {name: VOCABULARY[name][i] if i >= 0 else None for name, i in zip(NAMES, words, strict=True)}
    return Scene(**said)  # type: ignore[arg-type]


def contexts(variant: int) -> tuple[torch.Tensor, Mapping[tuple[int, ...], int]]:
    """Return the text encoder's output for every caption [n, 77, width], and the row of each tuple of words.

    Row 0 is the empty prompt. Colour, place and time may be -1, which the caption leaves open.
    """
    encoder = build("text_encoder").eval()
    load("text_encoder", encoder, text_encoder_tensors(variant))
    sizes = [len(VOCABULARY[name]) for name in NAMES]
    rows: dict[tuple[int, ...], int] = {}
    texts = [""]
    for index in np.ndindex(sizes[0], sizes[1] + 1, sizes[2] + 1, sizes[3] + 1, sizes[4]):
        words = (index[0], index[1] - 1, index[2] - 1, index[3] - 1, index[4])
        rows[words] = len(texts)
        texts.append(caption(scene_of(words)))
    tokens = torch.tensor([chunks_of(text)[0].tokens for text in texts])
    with torch.no_grad():
        found = torch.cat([encoder(part).last_hidden_state for part in tokens.split(256)])
    return found, rows
