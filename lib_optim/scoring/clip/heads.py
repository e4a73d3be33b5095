"""The networks of the heads, under the names that their published files have.

Read in the authors' own code: LAION-AI/aesthetic-predictor (notebook), christophschuhmann/improved-aesthetic-predictor
(simple_inference.py, train_predictor.py), waifu-diffusion/aesthetic (aesthetic.py), city96/CityClassifiers (model.py),
Eugeoter/waifu-scorer-v3 (utils.py of its demo, as copied by others). Dropout does nothing here: it stands for its
place in the numbering.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.clip.scorer import HeadKind

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["CITY", "LINEAR", "MLP", "WAIFU", "WD_AES"]

_MLP_WIDTHS = (1024, 128, 64, 16)
_WAIFU_WIDTHS = (2048, 512, 256, 128, 32)


def _width(tensors: Mapping[str, torch.Tensor], name: str) -> int:
    """Columns of a weight matrix, which are the numbers per image that the head reads."""
    if name not in tensors or tensors[name].dim() != 2:
        raise ScorerError(f"lacks the matrix '{name}'; it is the file of another model.")
    return int(tensors[name].shape[1])


def _linear(tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    import torch

    with torch.device("meta"):
        return torch.nn.Linear(_width(tensors, "weight"), 1)


def _in_layers(layers: Sequence[nn.Module]) -> nn.Module:
    import torch

    network = torch.nn.Sequential()
    network.add_module("layers", torch.nn.Sequential(*layers))
    return network


def _mlp(tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    """Two layouts: without activations (``linearMSE``), or with ReLU after all but the last (``reluMSE``)."""
    import torch
    from torch.nn import Dropout, Linear, ReLU

    before = (_width(tensors, "layers.0.weight"), *_MLP_WIDTHS)
    relu = "layers.3.weight" in tensors
    layers: list[nn.Module] = []
    with torch.device("meta"):
        for i, (wide, narrow) in enumerate(zip(before, (*_MLP_WIDTHS, 1), strict=True)):
            layers.append(Linear(wide, narrow))
            if i < len(_MLP_WIDTHS) and relu:
                layers.append(ReLU())
            if i < len(_MLP_WIDTHS) - 1:
                layers.append(Dropout())
    return _in_layers(layers)


def _waifu(tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    import torch
    from torch.nn import Dropout, Linear, ReLU

    class Norm(torch.nn.Module):
        """Batch normalisation as it is after training, without its count of batches, which not every file has."""

        def __init__(self, size: int) -> None:
            super().__init__()
            self.weight, self.bias = torch.nn.Parameter(torch.empty(size)), torch.nn.Parameter(torch.empty(size))
            self.register_buffer("running_mean", torch.empty(size))
            self.register_buffer("running_var", torch.empty(size))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)

    before = (_width(tensors, "layers.0.weight"), *_WAIFU_WIDTHS)
    layers: list[nn.Module] = []
    with torch.device("meta"):
        for i, (wide, narrow) in enumerate(zip(before, (*_WAIFU_WIDTHS, 1), strict=True)):
            layers.append(Linear(wide, narrow))
            if i < len(_WAIFU_WIDTHS):
                layers.append(ReLU())
            if i < len(_WAIFU_WIDTHS) - 1:
                layers += [Norm(narrow), Dropout()]
    return _in_layers(layers)


def _within_ten(value: float) -> float:
    return min(10.0, max(0.0, value)) if math.isfinite(value) else value


def _wd_aes(tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    import torch
    from torch.nn import Linear, ReLU

    network = torch.nn.Sequential()
    with torch.device("meta"):
        network.add_module("fc1", Linear(_width(tensors, "fc1.weight"), 256))
        network.add_module("relu1", ReLU())
        network.add_module("fc2", Linear(256, 128))
        network.add_module("relu2", ReLU())
        network.add_module("fc3", Linear(128, 1))
        network.add_module("out", torch.nn.Sigmoid())
    return network


def _city(tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    import torch
    from torch.nn import Dropout, LeakyReLU, Linear, Sequential

    class Residual(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.long = Sequential(
                Linear(1024, 1024), LeakyReLU(0.1), Linear(1024, 1024), LeakyReLU(0.1), Linear(1024, 1024)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.long(x) + x)

    network = Sequential()
    with torch.device("meta"):
        network.add_module("up", Sequential(Linear(_width(tensors, "up.0.weight"), 1024), Residual()))
        network.add_module(
            "down",
            Sequential(Linear(1024, 128), Linear(128, 64), Dropout(), LeakyReLU(), Linear(64, 32), Linear(32, 1)),
        )
        network.add_module("out", torch.nn.Tanh())
    return network


LINEAR = HeadKind(_linear)
MLP = HeadKind(_mlp)
WAIFU = HeadKind(_waifu, finish=_within_ten, extras=r"layers\.\d+\.num_batches_tracked")
WD_AES = HeadKind(_wd_aes)
CITY = HeadKind(_city, normalised=False, finish=lambda value: (value + 1.0) / 2.0)
