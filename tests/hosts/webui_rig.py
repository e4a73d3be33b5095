"""A test host with our adapter in it, for the tests of the adapters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lib_optim.hosts.base import Checkpoint
from lib_optim.hosts.detect import detect_host
from lib_optim.plan.payload import ImageJob, Payload
from tests.webui.fixtures import TestHost, a1111, forge, webui, webui_xl

__all__ = [
    "LORA",
    "PARTS",
    "STAMP",
    "Rig",
    "a1111",
    "forge",
    "image_job",
    "payload",
    "rig",
    "rig_a",
    "rig_f",
    "same",
    "webui",
    "webui_xl",
]

LORA = "a cat <lora:lora:1>"
PARTS = frozenset({"unet", "text_encoder"})
STAMP = {"Optim trial": "run 3", "Optim recipe": "1f3a"}


def payload(prompt: str = "a cat", **fields: Any) -> Payload:
    values = {"name": "p", "prompt": prompt, "seed": 1, "steps": 3, "width": 16, "height": 16, "sampler_name": "Euler",
              **fields}  # fmt: skip
    return Payload(**values)


def image_job(prompt: str = "a cat", seed: int = 1, **fields: Any) -> ImageJob:
    return ImageJob(0, payload(prompt, **fields), seed, 0)


class Rig:
    """A test host, our adapter in it, and the merge "a + alpha (b - a)"."""

    def __init__(self, webui: TestHost) -> None:
        self.webui = webui
        self.host: Any = detect_host()
        self.a, self.b = (self.checkpoint(name) for name in "ab")
        self.files = {name: load_file(webui.checkpoints / f"{name}.safetensors") for name in "ab"}

    def checkpoint(self, name: str) -> Checkpoint:
        return next(c for c in self.host.checkpoints(refresh=True) if c.path.stem == name)

    def open(self, components: frozenset[str] = PARTS) -> Any:
        with self.host.exclusive():
            self.host.load(self.a)
            return self.host.open_session(self.a, components)

    def tensor(self, key: str, alpha: float) -> torch.Tensor:
        a, b = (self.files[name][key].float() for name in "ab")
        return torch.lerp(a, b, alpha)

    def write(self, live: Any, alpha: float, part: str = "") -> None:
        for key in tuple(live.keys()):
            if key.startswith(part):
                live.write(key, self.tensor(key, alpha))

    def pixels(self, prompt: str = "a cat", seed: int = 1, **fields: Any) -> bytes:
        return self.host.generate(image_job(prompt, seed, **fields), STAMP).image.tobytes()

    def trial(self, session: Any, alpha: float, prompt: str = "a cat", part: str = "", **fields: Any) -> bytes:
        with self.host.exclusive(), session.live_weights() as live, self.host.job("trial"):
            self.write(live, alpha, part)
            return self.pixels(prompt, **fields)

    def from_disk(self, name: str, prompt: str = "a cat", **fields: Any) -> bytes:
        """The image of the host's own load of a checkpoint.

        With a config of its own: A1111 then makes a new model, and with it the conditioning of the empty prompt, which
        a reload into the same object forgets.
        """
        (self.webui.checkpoints / f"{name}.yaml").write_text("model: own\n")
        return self.webui.pixels(prompt, override_settings={"sd_model_checkpoint": name}, **fields)

    def bits(self) -> dict[str, torch.Tensor]:
        """The model's tensors with no LoRA in them."""
        self.webui.pixels()
        return self.webui.parameters()


@pytest.fixture
def rig(webui: TestHost) -> Rig:
    return Rig(webui)


@pytest.fixture
def rig_a(a1111: TestHost) -> Rig:
    return Rig(a1111)


@pytest.fixture
def rig_f(forge: TestHost) -> Rig:
    return Rig(forge)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[k].dtype == other[k].dtype and torch.equal(one[k], other[k]) for k in one
    )
