"""Small LoRA and LyCORIS files for the checkpoints of `tests.checkpoints`, with what they add worked out in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

__all__ = ["LoraMaker"]

RANK = 2


class LoraMaker:
    """Collects modules of a LoRA for one base, and what each adds.

    Attributes:
        tensors: What the file will hold.
        deltas: Key of the base to what the LoRA adds there, float64, by hand.
    """

    def __init__(self, base: Path, seed: int = 0) -> None:
        self.base = {key: tensor.double() for key, tensor in load_file(base).items()}
        self.tensors: dict[str, torch.Tensor] = {}
        self.deltas: dict[str, torch.Tensor] = {}
        self._generator = torch.Generator().manual_seed(seed)

    def save(self, path: Path) -> Path:
        save_file({name: tensor.contiguous() for name, tensor in self.tensors.items()}, path)
        return path

    def _random(self, *shape: int, dtype: torch.dtype = torch.float16) -> torch.Tensor:
        return (torch.randn(shape, generator=self._generator) * 0.5).to(dtype)

    def _add(self, key: str, delta: torch.Tensor, part: int | None, transposed: bool = False) -> None:
        total = self.deltas.setdefault(key, torch.zeros_like(self.base[key]))
        delta = delta.T if transposed else delta
        if part is None:
            total += delta.reshape(total.shape)
        else:
            rows = total.shape[0] // 3
            total[part * rows : (part + 1) * rows] += delta.reshape(rows, *total.shape[1:])

    def _shape(self, key: str, part: int | None, transposed: bool) -> tuple[int, ...]:
        shape = tuple(self.base[key].shape)
        if part is not None:
            shape = (shape[0] // 3, *shape[1:])
        return shape[::-1] if transposed else shape

    def lora(
        self,
        module: str,
        key: str,
        alpha: float | None = 1.0,
        part: int | None = None,
        *,
        mid: bool = False,
        transposed: bool = False,
        spell: Callable[[str], str] = "lora_{}".format,
        rank: int = RANK,
    ) -> LoraMaker:
        out, into, *kernel = self._shape(key, part, transposed)
        name = spell(module)
        if mid:
            up, down = self._random(out, rank, 1, 1), self._random(rank, into, 1, 1)
            core = self._random(rank, rank, *kernel)
            self.tensors[f"{name}.lora_mid.weight"] = core
            delta = torch.zeros(out, into, *kernel, dtype=torch.float64)
            for p in range(rank):
                for q in range(rank):
                    outer = up.double()[:, p, 0, 0, None] * down.double()[None, q, :, 0, 0]
                    delta += outer[..., None, None] * core.double()[p, q]
        else:
            up = self._random(out, rank, *[1] * len(kernel))
            down = self._random(rank, into, *kernel)
            delta = up.double().reshape(out, rank) @ down.double().reshape(rank, -1)
        self.tensors[f"{name}.lora_up.weight"], self.tensors[f"{name}.lora_down.weight"] = up, down
        if alpha is not None:
            self.tensors[f"{name}.alpha"] = torch.tensor(alpha)
            delta = delta * alpha / rank
        self._add(key, delta, part, transposed)
        return self

    def loha(self, module: str, key: str, alpha: float = 1.0) -> LoraMaker:
        out, into = self.base[key].shape[:2]
        kernel = math.prod(self.base[key].shape[2:])
        t = [
            self._random(out, RANK),
            self._random(RANK, into * kernel),
            self._random(out, RANK),
            self._random(RANK, into * kernel),
        ]
        for end, tensor in zip(("w1_a", "w1_b", "w2_a", "w2_b"), t, strict=True):
            self.tensors[f"lora_{module}.hada_{end}"] = tensor
        self.tensors[f"lora_{module}.alpha"] = torch.tensor(alpha)
        a, b, c, d = (tensor.double() for tensor in t)
        self._add(key, (a @ b) * (c @ d) * alpha / RANK, None)
        return self

    def lokr(self, module: str, key: str, alpha: float = 1.0, *, factorised: bool = True) -> LoraMaker:
        out, into, *kernel = self.base[key].shape
        first = self._random(2, 2)
        name = f"lora_{module}"
        self.tensors[f"{name}.lokr_w1"] = first
        self.tensors[f"{name}.alpha"] = torch.tensor(alpha)
        rows, columns = out // 2, into // 2
        if factorised and not kernel:
            a, b = self._random(rows, RANK), self._random(RANK, columns)
            self.tensors[f"{name}.lokr_w2_a"], self.tensors[f"{name}.lokr_w2_b"] = a, b
            second = (a.double() @ b.double()) * alpha / RANK
        else:
            self.tensors[f"{name}.lokr_w2"] = self._random(rows, columns, *kernel)
            second = self.tensors[f"{name}.lokr_w2"].double()  # nothing has a rank: alpha does not count
        delta = torch.cat([torch.cat([first[i, j].double() * second for j in range(2)], 1) for i in range(2)], 0)
        self._add(key, delta, None)
        return self

    def full(self, module: str, key: str, bias: str | None = None) -> LoraMaker:
        self.tensors[f"lora_{module}.diff"] = self._random(*self.base[key].shape)
        self._add(key, self.tensors[f"lora_{module}.diff"].double(), None)
        if bias:
            self.tensors[f"lora_{module}.diff_b"] = self._random(*self.base[bias].shape)
            self._add(bias, self.tensors[f"lora_{module}.diff_b"].double(), None)
        return self

    def norm(self, module: str, key: str, bias: str) -> LoraMaker:
        for end, target in (("w_norm", key), ("b_norm", bias)):
            self.tensors[f"lora_{module}.{end}"] = self._random(*self.base[target].shape)
            self._add(target, self.tensors[f"lora_{module}.{end}"].double(), None)
        return self

    def ia3(self, module: str, key: str, *, on_input: bool) -> LoraMaker:
        weight = self.base[key]
        scale = self._random(weight.shape[1 if on_input else 0])
        self.tensors[f"lora_{module}.weight"] = scale
        self.tensors[f"lora_{module}.on_input"] = torch.tensor(on_input)
        s = scale.double()
        self._add(key, weight * (s[None, :] if on_input else s[:, None]), None)
        return self

    def result(self, key: str, share: float = 1.0) -> torch.Tensor:
        """Base plus `share` of the LoRA, float64."""
        return self.base[key] + self.deltas.get(key, 0.0) * share


def unet_modules(keys: Iterable[str]) -> list[str]:
    """The attention projections and convolutions of a UNet that trainers usually pick."""
    ends = (".to_q.weight", ".to_k.weight", ".proj_in.weight", ".in_layers.2.weight", ".ff.net.0.proj.weight")
    return [key for key in keys if key.startswith("model.diffusion_model.") and key.endswith(ends)]
