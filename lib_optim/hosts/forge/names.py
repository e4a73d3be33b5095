"""Names of Forge's live tensors, and Forge's own conversion from checkpoint keys to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["converter", "live_shapes", "root_of"]

# Component to where its modules hang; names below are "<component>/<part>/<parameter>".
_PARTS = {"unet": "diffusion_model", "vae": "first_stage_model"}


def root_of(engine: Any, component: str, part: str) -> Any:
    """Return the module that holds the parameters of one part."""
    # All of Forge's copies of these objects share one module, so that a write reaches them all.
    objects = engine.forge_objects_original
    if component == "unet":
        return objects.unet.model.diffusion_model
    if component == "vae":
        return objects.vae.first_stage_model
    return getattr(objects.clip.cond_stage_model, part)


def live_shapes(engine: Any, components: frozenset[str]) -> dict[str, tuple[int, ...]]:
    """Return name to shape of every parameter of `components`, doubled registrations included."""
    parts = [(component, part) for component, part in _PARTS.items() if component in components]
    if "text_encoder" in components:
        parts += [("text_encoder", part) for part in engine.model_config.clip_target]
    shapes = {}
    for component, part in parts:
        for name, value in root_of(engine, component, part).named_parameters(remove_duplicate=False):
            shapes[f"{component}/{part}/{name}"] = tuple(value.shape)
    return shapes


def converter(
    engine: Any, live: Mapping[str, tuple[int, ...]]
) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    """Return a function that turns a checkpoint's state dict into live names as Forge's loader does, consuming it.

    Args:
        engine: ``shared.sd_model``.
        live: Names of live tensors.
    """
    guess = engine.model_config

    def convert(sd: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        from backend.state_dict import try_filter_state_dict

        found: dict[str, torch.Tensor] = {}

        def take(component: str, part: str, prefixes: list[str]) -> None:
            for name, tensor in try_filter_state_dict(sd, prefixes).items():
                found[f"{component}/{part}/{name}"] = tensor

        sd = guess.process_vae_state_dict(sd)
        take("unet", _PARTS["unet"], guess.unet_key_prefix)
        take("vae", _PARTS["vae"], guess.vae_key_prefix)
        sd = guess.process_clip_state_dict(sd)
        for part in guess.clip_target:
            take("text_encoder", part, [f"{part}."])
        # The token embedding is registered twice, once inside Forge's wrapper for textual inversion.
        for name in live:
            plain = name.replace(".wrapped.", ".")
            if plain != name and plain in found:
                found[name] = found[plain]
        return found

    return convert
