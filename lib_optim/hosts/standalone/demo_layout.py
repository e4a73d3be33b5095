"""The tensors of the demo checkpoints: Stable Diffusion 1 in LDM names, narrow, and what of them is stored.

The UNet is widest at the size of the latents (8x8 for a picture of 64x64), and so is the VAE. Group norms have 32
groups, so that widths are multiples of 32; the time embedding is four times the first width, as everywhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lib_optim.hosts.standalone.narrow_layout import CLIP, UNET, VAE, NarrowLayout, Shape

if TYPE_CHECKING:
    import torch

__all__ = [
    "CLIP", "CONTEXT", "UNET", "VAE", "Shape", "demo_shapes", "has_middle_only", "idle_tensor", "is_idle", "is_tuned",
]  # fmt: skip

CONTEXT = 96  # width of the text encoder
_LAYOUT = NarrowLayout(unet=(64, 64, 64, 64), vae=(32, 32, 32, 64), context=CONTEXT)

# Parts that pass their input on: their weights are 0 and not stored, but for a residual block's last bias. Levels of
# 4x4, 2x2 and 1x1 need no more, and the repository stays small.
_IDLE_VAE = re.compile(
    r"encoder\.down\.0\.block|encoder\.down\.1\.block\.1|encoder\.down\.3\.block\.1"
    r"|(encoder|decoder)\.mid\.(attn_1|block_2)|decoder\.up\.3\.block\.2|decoder\.up\.0\.block\.[12]"
)
_IDLE_UNET = re.compile(
    r"(input_blocks\.(5|8|11)|output_blocks\.(1|2|4|5|7))\.0\.(?!out_layers\.3\.bias|conv)"
    r"|(input_blocks\.[4-8]|middle_block|output_blocks\.[3-8])\.1\..*\.(ff|norm3)\."
)
# Kernels of 3x3 at the level of 1x1 see their middle only, and only that is stored.
_MIDDLE = re.compile(
    r"(input_blocks\.10|output_blocks\.0)\.0\..*layers\.[23]\.weight|middle_block\.[02]\..*layers\.[23]\.weight"
)
# What the fine-tunes change of the UNet; the rest is the ancestor's in both, and stored once.
_TUNED = re.compile(
    r"\.1\.(transformer_blocks.*(attn2|norm2)|norm\.|proj_)|_layers\.\d\.bias|(in|out)_layers\.0\.weight|time_embed\.\d\.bias|^out\."
    r"|input_blocks\.0\.0|input_blocks\.[369]\.0\.op\.bias|(input_blocks\.10|output_blocks\.0)\.0\.out_layers\.3"
)


def demo_shapes() -> dict[str, Shape]:
    """Return key to shape."""
    return _LAYOUT.shapes()


def is_idle(key: str) -> bool:
    """Whether a tensor belongs to a part that does nothing."""
    if key.startswith(VAE):
        return _IDLE_VAE.match(key.removeprefix(VAE)) is not None
    return key.startswith(UNET) and _IDLE_UNET.match(key.removeprefix(UNET)) is not None


def is_tuned(key: str) -> bool:
    """Whether the fine-tunes of the UNet differ in this tensor."""
    return key.startswith(UNET) and not is_idle(key) and _TUNED.search(key.removeprefix(UNET)) is not None


def has_middle_only(key: str) -> bool:
    """Whether a kernel [out, in, 3, 3] is 0 but for its middle."""
    return key.startswith(UNET) and _MIDDLE.match(key.removeprefix(UNET)) is not None


def idle_tensor(key: str) -> torch.Tensor:
    """Return the value of an idle tensor, fp32."""
    import torch

    shape = demo_shapes()[key]
    if key.endswith("skip_connection.weight"):  # what comes from below, nothing from across
        return torch.eye(*shape[:2])[..., None, None]
    norm = ".norm" in key or "_layers.0." in key
    return torch.full(shape, 1.0 if norm and key.endswith(".weight") else 0.0)
