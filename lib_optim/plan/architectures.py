"""The architectures Optim knows, and how a checkpoint's header tells them apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lib_optim.plan.errors import CheckpointError
from lib_optim.plan.header import CheckpointHeader

__all__ = ["ARCHITECTURES", "PARTS", "Architecture", "architecture_of"]


@dataclass(frozen=True)
class Architecture:
    """One row: how to recognise an architecture and who can merge it.

    Attributes:
        id: Short stable name, used in plans.
        title: As shown to the user.
        mecha_config: Identifier of sd-mecha's model config, or None where it has none.
        block_map: Name of the block map in ``plan/block_maps``, or None where merging is not supported.
        marks: Key prefixes that must all occur.
        absent: Key prefixes of which none may occur.
        components: Component name to the key prefixes that belong to it; first match wins.
    """

    id: str
    title: str
    mecha_config: str | None
    block_map: str | None
    marks: tuple[str, ...]
    absent: tuple[str, ...]
    components: Mapping[str, tuple[str, ...]]

    def component_of(self, key: str) -> str | None:
        """Return the component that `key` belongs to, or None (schedule buffers, EMA copies)."""
        for component, prefixes in self.components.items():
            if key.startswith(prefixes):
                return component
        return None


_UNET = "model.diffusion_model."
_VAE = ("first_stage_model.",)

ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture(
        "sd1", "Stable Diffusion 1.x", "sd1-ldm", "sd1",
        (f"{_UNET}input_blocks.1.1.", "cond_stage_model.transformer."), (f"{_UNET}label_emb.",),
        {"unet": (_UNET,), "text_encoder": ("cond_stage_model.",), "vae": _VAE},
    ),
    Architecture(
        "sd2", "Stable Diffusion 2.x", "sd2-optim", "sd2",
        (f"{_UNET}input_blocks.1.1.", "cond_stage_model.model."), (f"{_UNET}label_emb.",),
        {"unet": (_UNET,), "text_encoder": ("cond_stage_model.",), "vae": _VAE},
    ),
    Architecture(
        "sdxl", "Stable Diffusion XL", "sdxl-sgm", "sdxl",
        (f"{_UNET}label_emb.", "conditioner.embedders.1."), (),
        {"unet": (_UNET,), "text_encoder": ("conditioner.embedders.",), "vae": _VAE},
    ),
    Architecture(
        "sdxl-refiner", "SDXL refiner", None, None,
        (f"{_UNET}label_emb.", "conditioner.embedders.0.model."), ("conditioner.embedders.1.",),
        {"unet": (_UNET,), "text_encoder": ("conditioner.embedders.",), "vae": _VAE},
    ),
    Architecture(
        "sd3", "Stable Diffusion 3", "sd3-comfyui", "sd3", (f"{_UNET}joint_blocks.",), (),
        {"unet": (_UNET,), "text_encoder": ("text_encoders.",), "vae": _VAE},
    ),
    Architecture(
        "flux", "Flux", "flux-flux", "flux", (f"{_UNET}double_blocks.", f"{_UNET}single_blocks."), (),
        {"unet": (_UNET,), "text_encoder": ("text_encoders.",), "vae": ("vae.",)},
    ),
)  # fmt: skip


PARTS: tuple[tuple[str, str], ...] = (
    ("double_blocks.", "the diffusion model of a Flux checkpoint"),
    ("joint_blocks.", "the diffusion model of a Stable Diffusion 3 checkpoint"),
    ("label_emb.", "the UNet of a Stable Diffusion XL checkpoint"),
    ("input_blocks.", "the UNet of a Stable Diffusion checkpoint"),
    ("add_embedding.", "the UNet of a Stable Diffusion XL checkpoint in diffusers' layout"),
    ("down_blocks.", "the UNet of a Stable Diffusion checkpoint in diffusers' layout"),
    ("transformer_blocks.", "the diffusion model of a checkpoint in diffusers' layout"),
    ("text_model.", "a text encoder"),
    ("encoder.block.", "a T5 text encoder"),
    ("decoder.up", "a VAE"),
    ("decoder.mid", "a VAE"),
    ("model_ema.", "the EMA copies of a UNet"),
    (f"{_UNET}double_blocks.", "part of a Flux checkpoint"),
    (_UNET, "the UNet of a checkpoint"),
    ("first_stage_model.", "the VAE of a checkpoint"),
    ("cond_stage_model.", "the text encoder of a checkpoint"),
    ("conditioner.", "the text encoders of a checkpoint"),
)
"""What the keys of a file that is only part of a checkpoint begin with, and what that is; the first that fits."""


def architecture_of(header: CheckpointHeader, whole: bool = True) -> Architecture:
    """Return the architecture of a checkpoint.

    Args:
        header: Of the file.
        whole: False takes a file without text encoder too, which can be merged with others but not be used alone.

    Raises:
        CheckpointError: No known architecture, or several at once.
    """
    found = [row for row in ARCHITECTURES if _fits(row, header.tensors)]
    if not found:
        partial = None if whole else _by_unet(header)
        if partial is not None:
            return partial
        part = next((what for prefix, what in PARTS if any(key.startswith(prefix) for key in header.tensors)), None)
        if part is not None:
            raise CheckpointError(
                f"{header.path.name} holds only {part}, without the rest; choose a full checkpoint, in which UNet, "
                "text encoder and VAE are together."
            )
        raise CheckpointError(
            f"{header.path.name} is no checkpoint of a known architecture "
            f"({', '.join(dict.fromkeys(row.title for row in ARCHITECTURES))})."
        )
    if len({row.id for row in found}) > 1:
        titles = " and of ".join(row.title for row in found)
        raise CheckpointError(f"{header.path.name} has the key names of {titles} at once; get a fresh copy.")
    return found[0]


_OPEN_CLIP_H = 1024
"""Width of SD2's text encoder."""


def _by_unet(header: CheckpointHeader) -> Architecture | None:
    """Return the architecture whose UNet a file holds, under the names of a checkpoint."""
    for row in ARCHITECTURES:
        marks = [mark for mark in row.marks if mark.startswith(_UNET)]
        if row.block_map is None or not all(any(key.startswith(mark) for key in header.tensors) for mark in marks):
            continue
        if any(key.startswith(prefix) for prefix in row.absent for key in header.tensors):
            continue
        if row.id in ("sd1", "sd2"):
            cross = (info.shape for key, info in header.tensors.items() if key.endswith("attn2.to_k.weight"))
            wide = next(cross, (0, 0))[-1] == _OPEN_CLIP_H
            return next(row for row in ARCHITECTURES if row.id == ("sd2" if wide else "sd1"))
        return row
    return None


def _fits(row: Architecture, keys: Collection[str]) -> bool:
    def has(prefix: str) -> bool:
        return any(key.startswith(prefix) for key in keys)

    return all(has(prefix) for prefix in row.marks) and not any(has(prefix) for prefix in row.absent)
