"""What others do to Forge, for the conformance suite."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.base import Checkpoint
from lib_optim.hosts.forge.model import loaded_model
from lib_optim.hosts.probe import Unavailable
from lib_optim.hosts.webui.checkpoints import info_of
from lib_optim.hosts.webui.main_thread import main_thread_delay, run_on_main_thread
from lib_optim.hosts.webui.probe import WebuiProbe

if TYPE_CHECKING:
    import torch

__all__ = ["Probe"]


class Probe(WebuiProbe):
    """See ``hosts.probe.HostProbe``."""

    def live_tensors(self) -> Mapping[str, torch.Tensor]:
        """Return the parameters of the three parts; names begin with the component."""
        objects = _engine().forge_objects_original
        roots = {
            "unet/": objects.unet.model.diffusion_model,
            "text_encoder/": objects.clip.cond_stage_model,
            "vae/": objects.vae.first_stage_model,
        }
        return {
            component + name: parameter
            for component, root in roots.items()
            for name, parameter in root.named_parameters(remove_duplicate=False)
            if parameter.is_floating_point()
        }

    def model(self) -> object:
        """Return ``shared.sd_model``."""
        return loaded_model()

    def choose(self, checkpoint: Checkpoint) -> None:
        """Do what the dropdown does, but for saving: it counts at once, and the next image loads."""
        from modules_forge import main_entry

        main_entry.checkpoint_change(info_of(checkpoint.path).title, save=False, refresh=True)

    def new_model(self) -> None:
        """Load anew from disk: Forge makes a new object of it."""
        from modules import sd_models

        sd_models.model_data.forge_hash = ""
        run_on_main_thread(sd_models.forge_model_reload)

    @contextlib.contextmanager
    def vae_override(self, path: Path) -> Iterator[None]:
        """Put `path` on the list of modules and select it besides what is selected."""
        from modules import sd_models, shared
        from modules_forge import main_entry

        before = list(shared.opts.data.get("forge_additional_modules", []))
        main_entry.module_list[path.name] = str(path)
        try:
            main_entry.modules_change([*before, str(path)], save=False, refresh=True)
            run_on_main_thread(sd_models.forge_model_reload)
            yield
        finally:
            main_entry.modules_change(before, save=False, refresh=True)
            main_entry.module_list.pop(path.name, None)
            run_on_main_thread(sd_models.forge_model_reload)

    def reload_embeddings(self) -> None:
        """Load the model anew: Forge reads textual inversions with the text encoder."""
        self.new_model()

    @contextlib.contextmanager
    def quantised(self) -> Iterator[None]:
        """Say that the UNet is stored in nf4."""
        unet = _engine().forge_objects_original.unet.model
        before = unet.storage_dtype
        unet.storage_dtype = "nf4"
        try:
            yield
        finally:
            unet.storage_dtype = before

    def main_thread_delay(self, patience: float) -> float:
        """Return the seconds that an empty task took."""
        return main_thread_delay(patience)

    @contextlib.contextmanager
    def no_model(self) -> Iterator[None]:
        """Be as before the first load: Forge's placeholder."""
        from backend import memory_management
        from modules import sd_models

        data = sd_models.model_data
        run_on_main_thread(memory_management.unload_all_models)
        data.sd_model, data.forge_hash = sd_models.FakeInitialModel(), ""
        try:
            yield
        finally:
            run_on_main_thread(sd_models.forge_model_reload)


def _engine() -> Any:
    engine = loaded_model()
    if engine is None:
        raise Unavailable("Forge has no model loaded")
    return engine
