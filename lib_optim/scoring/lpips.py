"""LPIPS (Zhang et al. 2018, arXiv 1801.03924), version 0.1: how different two pictures look to a network.

    distance = sum over layers of the mean over places of Σ_c w_c (f_c − g_c)²       0 for equal pictures, up to about 1

f and g are the activations of AlexNet (or VGG-16) after the ReLUs of its five stages, each place scaled to length 1
over the channels; w are the published weights, one per channel, learnt from what people said. Written from the paper
and the package lpips 0.1.4 (BSD) in plain torch. Weights: torchvision's file of the trunk, and the package's
``alex.pth`` or ``vgg.pth`` (its version v0.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["EXTRAS", "TRUNKS", "Lpips", "Trunk", "head_names"]

EXTRAS = r"classifier\..*"  # of the trunk's file, which was trained to tell things apart


@dataclass(frozen=True)
class Trunk:
    """A trunk: its layers as torchvision numbers them, and where they are looked at.

    Attributes:
        layers: Per layer: ``c`` with channels in and out, kernel, stride and padding; ``r`` a ReLU; ``p`` with kernel
            and stride, a maximum.
        taps: Numbers of the layers whose answers count.
    """

    layers: tuple[tuple[str, int, int, int, int, int] | tuple[str, int, int] | tuple[str], ...]
    taps: tuple[int, ...]


def _vgg() -> tuple[tuple[str, int, int, int, int, int] | tuple[str, int, int] | tuple[str], ...]:
    layers: list[tuple[str, int, int, int, int, int] | tuple[str, int, int] | tuple[str]] = []
    before = 3
    for stage in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for width in stage:
            layers += [("c", before, width, 3, 1, 1), ("r",)]
            before = width
        layers.append(("p", 2, 2))
    return tuple(layers[:-1])


_ALEX = (
    ("c", 3, 64, 11, 4, 2), ("r",), ("p", 3, 2), ("c", 64, 192, 5, 1, 2), ("r",), ("p", 3, 2),
    ("c", 192, 384, 3, 1, 1), ("r",), ("c", 384, 256, 3, 1, 1), ("r",), ("c", 256, 256, 3, 1, 1), ("r",),
)  # fmt: skip
TRUNKS = {
    "alex": Trunk(_ALEX, (1, 4, 7, 9, 11)),
    "vgg": Trunk(_vgg(), (3, 8, 15, 22, 29)),
}
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """Pictures to what is compared, and two of those to their distance."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self._taps = trunk.taps
        self.features = nn.Sequential(*(_layer(*row) for row in trunk.layers))
        widths = [next(row[2] for row in reversed(trunk.layers[: tap + 1]) if row[0] == "c") for tap in trunk.taps]
        self.weights = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the activations that count, each place of length 1: per layer (batch, channels, height, width).

        Args:
            images: Shape (batch, 3, height, width) in [0, 1], sRGB; 64 pixels or more on each side.
        """
        shift, scale = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (_SHIFT, _SCALE))
        x = (2 * images - 1 - shift) / scale
        found = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self._taps:
                found.append(x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10))
        return found

    def distance(self, one: list[Tensor], other: list[Tensor]) -> Tensor:
        """Return the distance of each pair, shape (batch,)."""
        each = [
            ((f - g).square() * w.view(1, -1, 1, 1)).sum(dim=1).mean(dim=(1, 2))
            for f, g, w in zip(one, other, self.weights, strict=True)
        ]
        return torch.stack(each).sum(dim=0)


def head_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of ``alex.pth`` or ``vgg.pth`` under the names of `Lpips`."""
    found = {}
    for name, tensor in tensors.items():
        own = name.removeprefix("lin").removesuffix(".model.1.weight")
        found[f"weights.{own}" if own.isdigit() else name] = tensor.flatten() if tensor.dim() == 4 else tensor
    return found


def _layer(kind: str, *numbers: int) -> nn.Module:
    if kind == "c":
        return nn.Conv2d(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
    return nn.ReLU() if kind == "r" else nn.MaxPool2d(numbers[0], numbers[1])
