"""Which of several models the others were made from, told from a sample of their weights.

Two fine-tunings B and C of a base A move away from it in unrelated directions, which in so many dimensions are
perpendicular: the cosine of B − A and C − A is near 0. Seen from B, both A and C lie in the direction back towards A,
and the cosine is well above 0. So the base is the model from which the differences of the others are perpendicular,
and from which the others are nearest in sum. Only where both agree, and clearly, is one named.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.merging.methods import MethodRow
from lib_optim.merging.shapes import SHAPES
from lib_optim.plan.adapters import adapter_of
from lib_optim.plan.errors import CheckpointError
from lib_optim.plan.header import CheckpointHeader, read_header

if TYPE_CHECKING:
    import torch

__all__ = ["base_place", "likely_base"]

# Where a shape takes its base from: model A, or the last of three.
_FIRST, _LAST = ("deltas", "deltas of two"), (
    "weight and delta", "delta", "clamped", "two or from C", "perpendicular", "mask",
)  # fmt: skip
_TENSORS = 12
_NUMBERS = 16_384  # of each tensor
_PERPENDICULAR = 0.25
_CLEARLY = 0.15
_EQUAL = 1e-6


def base_place(row: MethodRow, models: int) -> int | None:
    """Return the index of the model that a method takes for the base of its differences, None without one."""
    name = next((name for name, shape in SHAPES.items() if shape is row.shape), "")
    if models < 3:
        return None
    if name in _FIRST:
        return 0
    return models - 1 if name in _LAST and models == 3 else None


def likely_base(paths: Sequence[Path]) -> int | None:
    """Return the index of the model that the others were made from, or None where the files do not tell.

    Args:
        paths: Checkpoints of one architecture; at least three, or there is no telling. LoRAs among them say that A is
            their base, and take no part.

    Reads some 200 000 numbers of each.

    Raises:
        CheckpointError: A file cannot be read.
    """
    headers = [read_header(path) for path in paths]
    whole = [i for i, header in enumerate(headers) if adapter_of(header) is None]
    if len(whole) < 3:
        return None
    samples = _samples([headers[i] for i in whole])
    if samples is None:
        return None
    scores = []
    for i, base in enumerate(samples):
        deltas = [sample - base for k, sample in enumerate(samples) if k != i]
        lengths = [delta.norm().item() for delta in deltas]
        if min(lengths) <= _EQUAL * base.norm().item():
            return None  # two are the same, as far as the sample goes
        cosines = [
            abs((deltas[x] @ deltas[y]).item()) / (lengths[x] * lengths[y])
            for x, y in itertools.combinations(range(len(deltas)), 2)
        ]
        scores.append((sum(cosines) / len(cosines), sum(lengths)))
    order = sorted(range(len(scores)), key=lambda i: scores[i][0])
    best, second = order[0], order[1]
    nearest = min(range(len(scores)), key=lambda i: scores[i][1])
    clear = scores[best][0] < _PERPENDICULAR and scores[second][0] > scores[best][0] + _CLEARLY
    return whole[best] if clear and nearest == best else None


def _samples(headers: Sequence[CheckpointHeader]) -> list[torch.Tensor] | None:
    """Return some numbers of each model, fp32 in one row; None where they have too little in common."""
    import torch

    shared = [
        key
        for key, info in headers[0].tensors.items()
        if len(info.shape) >= 2
        and info.dtype.startswith(("F", "BF"))
        and "diffusion_model" in key
        and all(key in other.tensors and other.tensors[key].shape == info.shape for other in headers[1:])
    ]
    if not shared:
        return None
    chosen = shared[:: max(1, len(shared) // _TENSORS)][:_TENSORS]
    return [torch.cat([_numbers(header, key) for key in chosen]) for header in headers]


def _numbers(header: CheckpointHeader, key: str) -> Any:
    import torch
    from safetensors import safe_open

    shape = header.tensors[key].shape
    rest = max(1, torch.Size(shape[1:]).numel())
    rows = max(1, min(shape[0], _NUMBERS // rest))
    try:
        with safe_open(str(header.path), framework="pt", device="cpu") as file:
            return file.get_slice(key)[:rows].to(torch.float32).reshape(-1)
    except Exception as error:  # the library's own error type is not public in every release
        raise CheckpointError(f"{header.path.name} cannot be read at '{key}': {error}.") from error
