"""Three small checkpoints of each layout, which no test may change."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import torch

from lib_optim.hosts.digest import tensor_digest
from lib_optim.merging.merger import Merger
from lib_optim.merging.methods import merge_method
from lib_optim.plan.architectures import ARCHITECTURES, Architecture
from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import Bound, Value
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.space import Space, space_of
from tests.checkpoints import make_checkpoint


class Sink:
    """Takes a merge into a dict."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self.tensors: dict[str, torch.Tensor] = {}

    def keys(self) -> tuple[str, ...]:
        return self._keys

    def write(self, key: str, tensor: torch.Tensor) -> None:
        assert key in self._keys
        assert tensor.dtype == torch.float32
        self.tensors[key] = tensor.clone()

    def digests(self) -> dict[str, int]:
        return {key: tensor_digest(tensor) for key, tensor in self.tensors.items()}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, list[Path]]]:
    """``{"sd1": [A, B, C], "sdxl": [A, B, C]}``: A fp16, B fp32 and C bf16, as users mix them."""
    folder = tmp_path_factory.mktemp("checkpoints")
    dtypes = (torch.float16, torch.float32, torch.bfloat16)
    made = {
        architecture: [
            make_checkpoint(folder / f"{architecture} {name}.safetensors", architecture, seed, dtype)
            for seed, (name, dtype) in enumerate(zip("ABC", dtypes, strict=True))
        ]
        for architecture in ("sd1", "sdxl")
    }
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for paths in made.values() for path in paths}
    yield made
    for path, digest in before.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest, f"a merge changed {path.name}"


def architecture(name: str) -> Architecture:
    return next(row for row in ARCHITECTURES if row.id == name)


def guide(*components: str, parameters: tuple[str, ...] = (), bounds: Mapping[str, Bound] | None = None) -> Guide:
    """One value per block of each component, for `parameters` (those that the method searches if empty)."""
    return Guide(
        tuple(ComponentGuide(name, (Strategy("all", parameters=parameters),)) for name in components), bounds or {}
    )


def open_merger(
    method: str, models: Sequence[Path], name: str = "sd1", plan: Guide | None = None, seed: int = 7
) -> Merger:
    row = merge_method(method)
    space = space_of(plan or guide("text_encoder", "unet"), row, block_map(name))
    return Merger(row, models, architecture(name), block_map(name), space, seed)


def random_values(space: Space, seed: int) -> dict[str, Value]:
    """A point of the space, every dimension drawn by itself."""
    rng = random.Random(seed)
    values: dict[str, Value] = {}
    for parameter in space.parameters:
        bound = parameter.bound
        if bound.kind == "bool":
            values[parameter.name] = rng.random() < 0.5
        elif bound.kind == "choice":
            values[parameter.name] = rng.choice(bound.choices)
        elif bound.kind == "int":
            values[parameter.name] = rng.randint(int(bound.low or 0), int(bound.high or 0))
        else:
            values[parameter.name] = rng.uniform(bound.low or 0.0, bound.high or 0.0)
    return values


def same_value(space: Space, value: Value) -> dict[str, Value]:
    return {parameter.name: value for parameter in space.parameters}
