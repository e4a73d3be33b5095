"""What others do to reForge and Forge Classic, for the conformance suite: but for the model, what A1111's users do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.a1111 import probe
from lib_optim.hosts.probe import Unavailable
from lib_optim.hosts.reforge.host import loads_by_force, reload_weights
from lib_optim.hosts.reforge.names import root_of
from lib_optim.hosts.webui.main_thread import main_thread_delay, run_on_main_thread
from lib_optim.hosts.webui.probe import setting

if TYPE_CHECKING:
    import torch

__all__ = ["Probe"]

_ABSENT = object()


class Probe(probe.Probe):
    """See ``hosts.probe.HostProbe``."""

    def live_tensors(self) -> Mapping[str, torch.Tensor]:
        """Return the parameters of the three parts; names begin with the component."""
        model = self._loaded()
        return {
            f"{component}/{name}": parameter
            for component in ("unet", "text_encoder", "vae")
            for name, parameter in root_of(model, component).named_parameters(remove_duplicate=False)
            if parameter.is_floating_point()
        }

    def new_model(self) -> None:
        """Load anew from disk: both make a new object of it."""
        info = self._loaded().sd_checkpoint_info
        run_on_main_thread(lambda: reload_weights(info, forced=True))

    @contextlib.contextmanager
    def quantised(self) -> Iterator[None]:
        """Give one layer what scaled fp8 files leave in every layer."""
        import torch

        layer = root_of(self._loaded(), "unet").input_blocks
        before = getattr(layer, "scale_weight", _ABSENT)
        layer.scale_weight = torch.ones(1)
        try:
            yield
        finally:
            del layer.scale_weight
            if before is not _ABSENT:
                layer.scale_weight = before

    def main_thread_delay(self, patience: float) -> float:
        """Return the seconds that an empty task took."""
        return main_thread_delay(patience)

    def kept_models(self, count: int) -> AbstractContextManager[None]:
        """Set ``sd_checkpoints_limit``, which Classic shows and ignores."""
        if not loads_by_force():
            raise Unavailable("this WebUI keeps one model at a time, whatever its settings say")
        return self._keeping(count)

    @contextlib.contextmanager
    def _keeping(self, count: int) -> Iterator[None]:
        from modules import sd_models

        with setting("sd_checkpoints_limit", count):
            yield
        data = sd_models.model_data
        data.loaded_sd_models[:] = [model for model in data.loaded_sd_models if model is data.sd_model]

    @contextlib.contextmanager
    def no_model(self) -> Iterator[None]:
        """Be as before the first load."""
        from ldm_patched.modules import model_management
        from modules import sd_models, sd_vae

        data, info = sd_models.model_data, self._loaded().sd_checkpoint_info
        run_on_main_thread(model_management.unload_all_models)
        data.sd_model, data.was_loaded_at_least_once = None, False
        data.loaded_sd_models.clear()
        sd_vae.loaded_vae_file = sd_vae.base_vae = sd_vae.checkpoint_info = None
        try:
            yield
        finally:
            data.was_loaded_at_least_once = True
            if self.model() is None:
                run_on_main_thread(lambda: sd_models.load_model(info))

    def _loaded(self) -> Any:
        model = self.model()
        if model is None:
            raise Unavailable("this WebUI has no model loaded")
        return model
