"""The architectures Optim knows, and how a checkpoint's header tells them apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lib_optim.plan.errors import CheckpointError
from lib_optim.plan.header import CheckpointHeader

__all__ = ["ARCHITECTURES", "Architecture", "architecture_of"]


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
        "sd2", "Stable Diffusion 2.x", None, None,
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
        "sd3", "Stable Diffusion 3", "sd3-comfyui", None, (f"{_UNET}joint_blocks.",), (),
        {"unet": (_UNET,), "text_encoder": ("text_encoders.",), "vae": _VAE},
    ),
    Architecture(
        "flux", "Flux", "flux_dev-flux", None, ("double_blocks.", "single_blocks."), (f"{_UNET}double_blocks.",),
        {"text_encoder": ("text_encoders.",), "vae": ("vae.",), "unet": ("",)},
    ),
    Architecture(
        "flux", "Flux", "flux_dev-flux", None, (f"{_UNET}double_blocks.",), (),
        {"unet": (_UNET,), "text_encoder": ("text_encoders.",), "vae": ("vae.",)},
    ),
)  # fmt: skip


def architecture_of(header: CheckpointHeader) -> Architecture:
    """Return the architecture of a checkpoint.

    Raises:
        CheckpointError: No known architecture, or several at once.
    """
    found = [row for row in ARCHITECTURES if _fits(row, header.tensors)]
    if not found:
        raise CheckpointError(
            f"{header.path.name} is no checkpoint of a known architecture "
            f"({', '.join(dict.fromkeys(row.title for row in ARCHITECTURES))}); it may be a LoRA, a VAE or a "
            "pruned part of a model."
        )
    if len({row.id for row in found}) > 1:
        titles = " and of ".join(row.title for row in found)
        raise CheckpointError(f"{header.path.name} has the key names of {titles} at once; get a fresh copy.")
    return found[0]


def _fits(row: Architecture, keys: Collection[str]) -> bool:
    def has(prefix: str) -> bool:
        return any(key.startswith(prefix) for key in keys)

    return all(has(prefix) for prefix in row.marks) and not any(has(prefix) for prefix in row.absent)
