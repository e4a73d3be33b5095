"""Two small Stable Diffusion 1 checkpoints of random weights, in which every block shows.

For questions about the search alone: in trained checkpoints, those of the standalone start too, many blocks hardly
matter, and no search can tell what weight they had. These have the key names and the 12/1/12 blocks of the real thing.
So that they still make pictures rather than noise, the UNet is built around a path that carries its input to its output
unchanged (which is the better part of what a denoiser has to answer), and all that is random adds to it; the VAE's
kernels are smooth. The two are relatives, as checkpoints that people merge are: they share the VAE, and correlate in
UNet and text encoder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.hosts.standalone.narrow_layout import CLIP, LATENT, UNET, VAE, NarrowLayout, Shape

if TYPE_CHECKING:
    import torch

__all__ = ["make_random_checkpoints"]

_NAMES = ("random-a.safetensors", "random-b.safetensors")

_LAYOUT = NarrowLayout(unet=(32, 64, 128, 128), vae=(32, 64, 128, 128), context=64)
_SHARED = {UNET: 0.95, CLIP: 0.99, VAE: 1.0}  # correlation of the second checkpoint with the first
_CARRIED = 2 * LATENT  # channels of the UNet's way through: the input, and the input negated


def make_random_checkpoints(folder: Path) -> tuple[Path, ...]:
    """Write the two checkpoints (half precision, under 40 MB each) into `folder` and return their paths."""
    from safetensors.torch import save_file

    paths = []
    for name, variant in zip(_NAMES, (0, 1), strict=True):
        path, partial = folder / name, folder / f"{name}.part"
        save_file(_tensors(variant), str(partial), metadata={"format": "pt"})
        partial.replace(path)
        paths.append(path)
    return tuple(paths)


def _tensors(variant: int) -> dict[str, torch.Tensor]:
    """Return a checkpoint, fp16. Variant 0 is the first; every other number is another relative of it."""
    import torch

    first, other = torch.Generator().manual_seed(20240501), torch.Generator().manual_seed(977 + variant)
    palette = torch.Generator().manual_seed(4)
    tensors = {}
    for key, shape in sorted(_LAYOUT.shapes().items()):
        value = _initial(key, shape, palette if key.startswith(VAE) else first)
        shared = next(share for prefix, share in _SHARED.items() if key.startswith(prefix))
        if variant and shared < 1:
            centre = _centre(key)
            fresh = _initial(key, shape, other)
            value = centre + shared * (value - centre) + math.sqrt(1 - shared**2) * (fresh - centre)
        tensors[key] = _with_path(key, value).to(torch.float16).contiguous()
    return tensors


# --- weights -------------------------------------------------------------------------------------------------------

# Part of a key, and what its weights are multiplied by; the first that fits. Without them the deepest blocks, which see
# one pixel of a small image, would not show, and a little step between the checkpoints would change the whole picture.
_GAINS: Mapping[str, float] = {
    "input_blocks.10.0.out_layers.3.": 3.0, "input_blocks.11.0.out_layers.3.": 3.0, "middle_block.0.out_layers.3.": 1.5,
    ".out_layers.3.": 0.5, ".ff.net.2.": 0.5, ".proj_out.": 0.5,
    ".attn1.to_out.0.": 0.7, ".attn2.to_out.0.": 1.2, ".attn2.to_q.": 1.5,
    ".out_proj.": 0.7, ".mlp.fc2.": 0.7,
    ".conv2.": 0.6, "decoder.conv_out.": 0.9,
}  # fmt: skip
_NORMS = (".norm", "layer_norm", ".in_layers.0.", ".out_layers.0.", ".out.0.", ".norm_out.")
_BLUR = ((1.0, 2.0, 1.0), (2.0, 4.0, 2.0), (1.0, 2.0, 1.0))
_ROUGHNESS = 0.1  # of the VAE's kernels away from their centre: more of it draws a frame around the picture


def _is_norm(key: str) -> bool:
    return any(mark in key for mark in _NORMS)


def _centre(key: str) -> float:
    """The mean of a tensor's values."""
    if key == f"{CLIP}final_layer_norm.bias":
        return 0.5  # emphasis divides by the mean of the output, which must not be 0
    return 1.0 if _is_norm(key) and key.endswith(".weight") else 0.0


def _initial(key: str, shape: Shape, generator: torch.Generator) -> torch.Tensor:
    import torch

    value = torch.randn(shape, generator=generator)
    if _is_norm(key):
        return _centre(key) + 0.1 * value
    if len(shape) == 1:
        return (0.03 if key.startswith(VAE) else 0.1) * value
    if "embedding" in key:
        return value * (0.5 if "position" in key else 1.0)
    gain = next((gain for mark, gain in _GAINS.items() if mark in key), 1.0)
    if key.startswith(VAE) and shape[-1] == 3:
        return _vae_kernels(key, gain * value / math.sqrt(shape[1]))
    return gain * value / math.sqrt(math.prod(shape[1:]))


def _vae_kernels(key: str, kernels: torch.Tensor) -> torch.Tensor:
    """Kernels [out, in, 3, 3] that mix channels at one place; those after upsampling blur, which draws soft shapes."""
    import torch

    centres = kernels[:, :, 1, 1].clone()
    if key == f"{VAE}decoder.conv_out.weight":
        common = 0.4 * centres.mean(dim=0, keepdim=True) * math.sqrt(len(centres))
        centres = 0.85 * centres + common  # red, green and blue have something in common: brightness
        centres = centres - centres.mean(dim=1, keepdim=True)  # grey on average
    kernels = _ROUGHNESS * kernels
    kernels[:, :, 1, 1] = centres
    if ".upsample." in key:
        every = torch.arange(len(kernels))
        kernels = 0.3 * kernels
        kernels[every, every] += torch.tensor(_BLUR) / 16
    return kernels


def _with_path(key: str, value: torch.Tensor) -> torch.Tensor:
    """Lay the path through the UNet: in, along the last skip connection, past the last block, and out."""
    import torch

    n, eye = _CARRIED, torch.eye(LATENT)
    name = key.removeprefix(UNET)
    last = "output_blocks.11."
    if name == "input_blocks.0.0.weight":
        value[:n] = 0
        value[:n, :, 1, 1] = torch.cat([eye, -eye])
    elif name == f"{last}0.skip_connection.weight":
        value[:n] = 0
        value[:n, _LAYOUT.unet[0] : _LAYOUT.unet[0] + n, 0, 0] = torch.eye(n)
    elif name in ("out.0.weight", "out.0.bias"):
        value[:n] = 1 if name.endswith("weight") else 0
    elif name == "out.2.weight":
        value *= 0.5
        value[:, :n] = 0
        value[:, :n, 1, 1] = torch.cat([eye, -eye], dim=1)  # silu(x) - silu(-x) = x
    elif name.startswith(
        (f"{last}0.out_layers.3.", f"{last}0.skip_connection.", f"{last}1.proj_out.", "input_blocks.0.0.")
    ):
        value[:n] = 0
    elif name.startswith("output_blocks.") and name.endswith(".skip_connection.weight"):
        _deepen(int(name.split(".")[1]), value)
    return value


def _deepen(block: int, weight: torch.Tensor) -> None:
    """Let an output block hear more of what comes from below, and less of what comes across."""
    across = list(_LAYOUT.skip_widths())[-1 - block]
    below, beside = (1.2, 0.9) if block < 3 else (1.3, 0.7)
    weight[:, :-across] *= below
    weight[:, -across:] *= beside
