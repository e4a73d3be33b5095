"""What others do to A1111, for the conformance suite."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.base import Checkpoint
from lib_optim.hosts.webui.checkpoints import info_of
from lib_optim.hosts.webui.probe import WebuiProbe, setting

if TYPE_CHECKING:
    import torch

__all__ = ["Probe"]

_COMPONENTS = (
    ("model.diffusion_model.", "unet/"), ("cond_stage_model.", "text_encoder/"),
    ("conditioner.", "text_encoder/"), ("first_stage_model.", "vae/"),
)  # fmt: skip


class Probe(WebuiProbe):
    """See ``hosts.probe.HostProbe``."""

    def live_tensors(self) -> Mapping[str, torch.Tensor]:
        """Return the model's parameters; names begin with the component."""
        found = {}
        for name, parameter in self.model().named_parameters(remove_duplicate=False):
            component = next((c for prefix, c in _COMPONENTS if name.startswith(prefix)), "other/")
            if parameter.is_floating_point():
                found[component + name] = parameter
        return found

    def model(self) -> Any:
        """Return ``shared.sd_model``."""
        return self.host._model()

    def choose(self, checkpoint: Checkpoint) -> None:
        """Do what ``POST /sdapi/v1/options`` does, but for saving: the option at once, its reload after the lock."""
        from modules import shared

        shared.opts.set("sd_model_checkpoint", info_of(checkpoint.path).title, is_api=True)

    def as_started(self) -> None:
        """Compute the conditioning of the empty prompt, as A1111 does when it makes a model."""
        import torch
        from modules import devices, sd_models

        model = self.model()
        if getattr(model, "cond_stage_model_empty_prompt", None) is not None:
            with devices.autocast(), torch.no_grad():
                model.cond_stage_model_empty_prompt = sd_models.get_empty_cond(model)

    def new_model(self) -> None:
        """Reload from disk: a forced reload, which A1111 does into the same object."""
        from modules import sd_models

        sd_models.reload_model_weights(None, self.model().sd_checkpoint_info, forced_reload=True)

    @contextlib.contextmanager
    def vae_override(self, path: Path) -> Iterator[None]:
        """Put `path` on the list of VAEs and select it."""
        from modules import sd_vae

        sd_vae.vae_dict[path.name] = str(path)
        try:
            with setting("sd_vae", path.name):
                sd_vae.reload_vae_weights()
                yield
            sd_vae.reload_vae_weights()
        finally:
            sd_vae.vae_dict.pop(path.name, None)

    def reload_embeddings(self) -> None:
        """Look at the folder again."""
        from modules import sd_hijack

        sd_hijack.model_hijack.embedding_db.load_textual_inversion_embeddings(force_reload=True)

    @contextlib.contextmanager
    def quantised(self) -> Iterator[None]:
        """Give one layer what A1111's fp8 storage leaves in every layer."""
        import torch

        layer = next(module for module in self.model().modules() if isinstance(module, torch.nn.Linear)
                     or not list(module.children()))  # fmt: skip
        layer.fp16_weight = torch.zeros(1)
        try:
            yield
        finally:
            del layer.fp16_weight

    @contextlib.contextmanager
    def kept_models(self, count: int) -> Iterator[None]:
        """Set ``sd_checkpoints_limit``; models kept beyond the former limit are dropped afterwards."""
        from modules import sd_models

        with setting("sd_checkpoints_limit", count):
            yield
        kept = sd_models.model_data.loaded_sd_models
        for model in [m for m in kept if m is not self.model()]:
            kept.remove(model)
            model.to("meta")

    @contextlib.contextmanager
    def no_model(self) -> Iterator[None]:
        """Be as before the first load."""
        from modules import sd_models, sd_vae

        data, info = sd_models.model_data, self.model().sd_checkpoint_info
        data.sd_model, data.was_loaded_at_least_once = None, False
        data.loaded_sd_models.clear()
        sd_vae.loaded_vae_file = sd_vae.base_vae = sd_vae.checkpoint_info = None
        try:
            yield
        finally:
            data.was_loaded_at_least_once = True
            if self.model() is None:
                sd_models.load_model(info)
