"""diffusers' modules of the demo checkpoints' sizes, from and to the names of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lib_optim.hosts.standalone.demo_layout import CLIP, UNET, VAE, demo_shapes
from lib_optim.hosts.standalone.model import live_table, skeleton
from lib_optim.hosts.standalone.parts import PARTS
from lib_optim.plan.architectures import ARCHITECTURES

__all__ = ["PREFIXES", "build", "load", "put_back", "tensors_of", "without_idle"]

PREFIXES: Mapping[str, str] = {"text_encoder": CLIP, "unet": UNET, "vae": VAE}
_SD1 = next(row for row in ARCHITECTURES if row.id == "sd1")
_PARTS = {part.name: part for part in PARTS["sd1"]}


def build(name: str) -> Any:
    """Return a module with PyTorch's own random weights. `name`: ``text_encoder``, ``unet`` or ``vae``."""
    return _PARTS[name].build(demo_shapes())


def load(name: str, module: Any, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put tensors of a checkpoint (whole keys; others are ignored) into a module."""
    wanted = set(module.state_dict())
    mine = {key: tensor.float() for key, tensor in tensors.items() if key.startswith(PREFIXES[name])}
    state = {key: tensor for key, tensor in _PARTS[name].convert(mine, module).items() if key in wanted}
    module.load_state_dict(state, strict=True)


def tensors_of(name: str, module: Any) -> dict[str, torch.Tensor]:
    """Return a module's weights as a checkpoint has them, fp32."""
    shapes, state = demo_shapes(), module.state_dict()
    table = live_table(shapes, _SD1, skeleton(shapes, "sd1"))
    tensors = {}
    for key, source in table.sources.items():
        if not key.startswith(PREFIXES[name]):
            continue
        (target,) = source.targets
        live = state[target.name.removeprefix(f"{name}.")]
        tensors[key] = target.transform.undo(live).reshape(source.shape).detach().clone()
    return tensors


class _Pass(nn.Module):
    """Stands in for a block that does nothing."""

    def forward(self, hidden: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        return hidden


def without_idle(vae: Any) -> dict[Any, nn.Module]:
    """Take the idle blocks out of a VAE, for speed, and return what `put_back` needs."""
    places = [(vae.encoder.down_blocks[i].resnets, j) for i, j in ((0, 0), (0, 1), (1, 1), (3, 1))]
    places += [(vae.decoder.up_blocks[i].resnets, j) for i, j in ((0, 2), (3, 1), (3, 2))]
    for half in (vae.encoder, vae.decoder):
        places += [(half.mid_block.attentions, 0), (half.mid_block.resnets, 1)]
    taken = [(owner, index, owner[index]) for owner, index in places]
    for owner, index, module in taken:
        for parameter in module.parameters():
            nn.init.zeros_(parameter)
        for name, parameter in module.named_parameters():
            if "norm" in name and name.endswith("weight"):
                nn.init.ones_(parameter)
        owner[index] = _Pass()
    return taken  # type: ignore[return-value]


def put_back(taken: Any) -> None:
    """Undo `without_idle`."""
    for owner, index, module in taken:
        owner[index] = module
