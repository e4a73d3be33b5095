"""Small checkpoints with the true key names of SD1 and SDXL files: random weights, all blocks, tiny widths.

They cannot generate images; they are for everything that reads, maps or merges checkpoints.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file

__all__ = ["LAYOUTS", "checkpoint_shapes", "checkpoint_tensors", "make_checkpoint"]

LAYOUTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sd1": ("sd1-ldm", ("clip_l", "vae", "diffuser", "scheduler")),
    "sdxl": ("sdxl-sgm", ("clip_l", "clip_g", "vae", "diffuser")),
}
"""Architecture to sd-mecha's list of its keys, and the parts of that list which ordinary files have."""

# Real widths in units of `width`; all other sizes stay (kernels, image and latent channels, positions, timesteps).
_SCALES = {
    320: 1, 640: 2, 960: 3, 1280: 4, 1920: 6, 2560: 8, 5120: 16, 10240: 32, 3840: 12,  # UNet, CLIP-G
    768: 2, 3072: 8, 2048: 6, 2816: 8,  # CLIP-L, SDXL's two text encoders side by side, its size embedding
    128: 1, 256: 2, 512: 4,  # VAE
}  # fmt: skip
_VOCABULARY = 49408
_LINE = re.compile(r"^    (\S+): \{shape: \[([\d, ]*)\], dtype: (\w+)")
_COMPONENT = re.compile(r"^  (\w+):\s*$")


def make_checkpoint(
    path: Path,
    architecture: Literal["sd1", "sdxl"] = "sd1",
    seed: int = 0,
    dtype: torch.dtype = torch.float16,
    width: int = 4,
    *,
    ema: bool = False,
    without: Collection[str] = (),
    replace: Mapping[str, torch.Tensor] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a random checkpoint and return `path`.

    Args:
        path: Where; the folder must exist.
        architecture: Key names of SD1.x (1143 keys) or SDXL base (2519 keys).
        seed: Different seeds give unrelated weights; the same seed gives the same file.
        dtype: Of the floating tensors; the schedule stays fp32, position ids are int64, as in real files.
        width: Stands for 320 channels of the UNet, 128 of the VAE and half of 768 of the text encoder.
        ema: Also writes the EMA copies of the UNet (SD1 only).
        without: Keys to leave out.
        replace: Tensors to write instead of (or in addition to) the random ones.
        metadata: The file's text metadata.
    """
    tensors = checkpoint_tensors(architecture, seed, dtype, width, ema=ema)
    tensors.update(replace or {})
    for key in without:
        del tensors[key]
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path, dict(metadata or {"format": "pt"}))
    return path


def checkpoint_tensors(
    architecture: str = "sd1", seed: int = 0, dtype: torch.dtype = torch.float16, width: int = 4, *, ema: bool = False
) -> dict[str, torch.Tensor]:
    """Return what `make_checkpoint` would write."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, (shape, kind) in checkpoint_shapes(architecture, width, ema=ema).items():
        if kind != "float32":
            count = torch.arange(shape[-1]) if shape else torch.tensor(0)
            tensors[key] = count.expand(shape).clone()
        elif "." not in key:
            tensors[key] = torch.linspace(0.99, 0.01, shape[0])
        else:
            tensors[key] = (torch.randn(shape, generator=generator) * 0.1).to(dtype)
    return tensors


@functools.cache
def checkpoint_shapes(
    architecture: str = "sd1", width: int = 4, *, ema: bool = False
) -> Mapping[str, tuple[tuple[int, ...], str]]:
    """Return key to (shape, dtype as sd-mecha's list names it) of a checkpoint of that width."""
    name, components = LAYOUTS[architecture]
    wanted = {*components, "ema"} if ema else set(components)
    package = importlib.util.find_spec("sd_mecha")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "extensions" / "builtin" / "model_configs"
    shapes = {}
    component = ""
    for line in (folder / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
        if head := _COMPONENT.match(line):
            component = head[1]
        elif component in wanted and (entry := _LINE.match(line)):
            sizes = tuple(int(size) for size in entry[2].split(",") if size.strip())
            shapes[entry[1]] = (tuple(_scaled(size, width) for size in sizes), entry[3])
    return shapes


def _scaled(size: int, width: int) -> int:
    return 32 if size == _VOCABULARY else _SCALES.get(size, 0) * width or size
