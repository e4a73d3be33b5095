"""LoRAs in reForge and Forge Classic: baked into parameters by a ModelPatcher, which keeps what was there."""

from __future__ import annotations

from typing import Any

__all__ = ["take_out"]


def take_out(model: Any) -> None:
    """Put the weights under every baked LoRA back, and have the WebUI bake those still asked for again.

    Both halves matter: a backup kept over a write is put back later, over the merge; and a patcher that counts as
    loaded is not patched anew, so that its LoRA would be missing from the next image.

    In reForge all copies of a patcher share one backup, in Classic each has its own; a copy that is baked in is always
    among the loaded ones, or the original itself.

    Args:
        model: ``shared.sd_model``.
    """
    from ldm_patched.modules import model_management

    objects = model.forge_objects_original
    for patcher in (objects.unet, objects.clip.patcher, objects.vae.patcher):
        for loaded in list(model_management.current_loaded_models):
            copy = loaded.model  # None where reForge has lost the last reference to it
            if copy is not None and copy.is_clone(patcher) and copy.backup:
                _forget(model_management.current_loaded_models, loaded)
                loaded.model_unload()
        if patcher.backup:
            patcher.unpatch_model()


def _forget(loaded_models: list[Any], one: Any) -> None:
    for place, loaded in enumerate(loaded_models):
        if loaded is one:
            del loaded_models[place]
            return
