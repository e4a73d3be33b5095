"""Names of the live tensors of reForge and Forge Classic, and their own conversion from checkpoint keys to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["converter", "live_shapes", "root_of"]

_UNET, _VAE = "model.diffusion_model.", "first_stage_model."


def root_of(model: Any, component: str) -> Any:
    """Return the module that holds the parameters of one component."""
    # All patchers of a model share these modules, so that a write reaches them all.
    objects = model.forge_objects_original
    if component == "unet":
        return objects.unet.model.diffusion_model
    return objects.vae.first_stage_model if component == "vae" else objects.clip.cond_stage_model


def live_shapes(model: Any, components: frozenset[str]) -> dict[str, tuple[int, ...]]:
    """Return ``component/name`` to shape of every parameter of `components`, doubled registrations included."""
    return {
        f"{component}/{name}": tuple(value.shape)
        for component in ("unet", "text_encoder", "vae")
        if component in components
        for name, value in root_of(model, component).named_parameters(remove_duplicate=False)
    }


def converter(
    model: Any, live: Mapping[str, tuple[int, ...]]
) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    """Return a function that turns a checkpoint's state dict into live names as the WebUI's loader does, consuming it.

    Args:
        model: ``shared.sd_model``.
        live: Names of live tensors.
    """
    config = model.forge_objects_original.unet.model.model_config

    def convert(sd: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}

        def keep(component: str, tensors: Mapping[str, torch.Tensor]) -> None:
            # Classic's names begin at the loader's own wrapper, reForge's at the text encoders.
            for name, tensor in tensors.items():
                found[f"{component}/{name.removeprefix('cond_stage_model.')}"] = tensor

        keep("unet", config.process_unet_state_dict(_taken(sd, _UNET)))
        keep("vae", config.process_vae_state_dict(_taken(sd, _VAE)))
        keep("text_encoder", config.process_clip_state_dict(sd))
        # The token embedding is registered twice, once inside the wrapper for textual inversion.
        for name in live:
            plain = name.replace(".wrapped.", ".")
            if plain != name and plain in found:
                found[name] = found[plain]
        return found

    return convert


def _taken(sd: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): sd.pop(key) for key in [key for key in sd if key.startswith(prefix)]}
